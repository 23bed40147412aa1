"""The formula of what an operation costs: page sizes may come as variables, so that it is evaluated for each.

What costs how much is in limits.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CAP = 1 << 62
"""No number grows beyond it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A formula: a constant and, for what depends on variables, factors times other formulas."""

    constant: int
    parts: "tuple[tuple[Factor, Cost], ...]" = ()

    def evaluate(self, variables: Mapping[str, Any], memo: "dict[int, int]") -> int:
        """Compute the cost for these variables; `memo` keeps fragments from being computed twice."""
        found = memo.get(id(self))
        if found is None:
            total = self.constant
            for factor, cost in self.parts:
                total += factor.evaluate(variables) * cost.evaluate(variables, memo)
            found = memo[id(self)] = min(total, CAP)
        return found

    def times(self, factor: "Factor", own: int) -> "Cost":
        """As often as the factor says, and `own` once."""
        if self == NOTHING:
            return Cost(own)
        if factor.variable is None and not self.parts:
            return Cost(min(own + factor.evaluate({}) * self.constant, CAP))
        return Cost(own, ((factor, self),))


@dataclass(frozen=True, slots=True)
class Factor:
    """The size of a page: what the variable says, or `default` without one; `most` at the most."""

    default: int
    variable: str | None = None
    most: int = CAP

    def evaluate(self, variables: Mapping[str, Any]) -> int:
        """Count; an empty page and nonsense count as one item."""
        value = variables.get(self.variable) if self.variable else None
        if isinstance(value, list):
            value = len(value)
        return min(max(value if isinstance(value, int) else self.default, 1), self.most)


NOTHING = Cost(0)
ONCE = Factor(1)


def add_up(costs: Sequence[Cost]) -> Cost:
    """All of them together."""
    constant = sum(cost.constant for cost in costs if not cost.parts)
    return Cost(min(constant, CAP), tuple((ONCE, cost) for cost in costs if cost.parts))
