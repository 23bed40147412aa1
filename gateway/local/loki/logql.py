"""The LogQL that the stand-in understands: a stream selector and line filters. Everything else is an error."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.local.loki.errors import BadRequestError
from gateway.local.selectors import Matcher, QueryReader, QuerySyntaxError, accepts_all


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A condition on the line."""

    operator: str
    text: str
    pattern: re.Pattern[str] | None

    def accepts(self, line: str) -> bool:
        """Whether the line contains the text, or has a place that fits the expression; or not so."""
        found = self.text in line if self.pattern is None else self.pattern.search(line) is not None
        return found == (self.operator in {"|=", "|~"})


@dataclass(frozen=True, slots=True)
class LogSelector:
    """What a query asks for."""

    matchers: tuple[Matcher, ...]
    filters: tuple[LineFilter, ...]

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a stream is asked for."""
        return accepts_all(self.matchers, labels)

    def accepts(self, line: str) -> bool:
        """Whether a line of such a stream is."""
        return all(condition.accepts(line) for condition in self.filters)


def parse_log_query(query: str) -> LogSelector:
    """Read `{label="value", …} |= "text" …`; BadRequestError in Loki's words for anything else."""
    try:
        reader = QueryReader(query)
        matchers = reader.take_matchers()
        filters: list[LineFilter] = []
        while reader.next.kind != "end":
            if reader.at("|"):
                raise BadRequestError(
                    "the local stand-in for Loki knows line filters only; use a real Loki for this query"
                )
            operator = reader.take("|=", "!=", "|~", "!~")
            filters.append(LineFilter(operator, *reader.take_string(is_pattern=operator in {"|~", "!~"})))
    except QuerySyntaxError as error:
        place = f"line {error.line}, col {error.column}"
        raise BadRequestError(f"parse error at {place}: syntax error: {error.message}") from error
    if all(matcher.accepts("") for matcher in matchers):
        raise BadRequestError(
            "parse error : queries require at least one regexp or equality matcher that does not have an "
            'empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
        )
    return LogSelector(matchers, tuple(filters))
