"""What an operation may ask for: one pass over the document measures it before anything else looks at it.

The pass is linear in the document: a fragment is measured once, however often it is spread. (Limiters that
expand fragments take exponential time: 0.8 KB of query holds the loop for 17 s.) The cost depends on page
sizes that come as variables, so the pass makes a formula of it, which every operation evaluates anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from gateway.records.pages import ROWS_OF_ANY_SIZE
from schema.costs import CAP, NOTHING, ONCE, Cost, Factor, add_up
from schema.errors import QUERY_TOO_COMPLEX

MAX_DOCUMENT_CHARACTERS = 100_000
"""The lexer reads about 7 characters a microsecond: 15 ms. Large values belong in variables."""
MAX_TOKENS = 5_000
"""Parsing takes about 12 microseconds a token, and 0.6 KB of memory: 60 ms and 3 MB. Pages have hundreds."""
MAX_DEPTH = 15
"""The deepest page of the console has 9; introspection is bounded by graphql-core's own rule instead."""
MAX_ALIASES = 50
"""Many objects are asked for with `nodes(ids:)`; an alias repeats a field, its upstream call included."""
MAX_FIELDS = 1_000
"""After fragments are spread, before lists multiply; the introspection query has 400, pages under 150."""
MAX_NESTING = 80
"""Fields, fragments and inline fragments on one path: keeps recursion far from Python's limit."""
MAX_COST = 100_000
"""Fields times the pages they are on. graphql-core takes 3 microseconds a leaf and up: 0.3 s at best.

What may be large costs more: an operation gets 100 MB of bodies, and a pod has 512 MB.
"""
WEIGHTS = {
    ("ExecutionLog", "requestBody"): 64,
    ("ExecutionLog", "responseBody"): 256,
    ("Function", "code"): 512,
}
"""What a field costs besides: one for each KB it may have, for `code` half: 100 of them have to pass.

It counts for `ROWS_OF_ANY_SIZE` items of a page: of the largest ones, a page has no more.
"""

PAGE_ARGUMENTS = ("first", "ids")
"""Arguments that say how many items a list has: a number, or a list with one id for each."""


class Measure(NamedTuple):
    """The size of a selection set, fragments included."""

    depth: int
    nesting: int
    aliases: int
    fields: int
    cost: Cost
    weight: Cost
    """Of what is large; it comes on top of the cost."""


@dataclass(frozen=True, slots=True)
class OperationMeasure:
    """The size of an operation, and the defaults of its variables."""

    size: Measure
    defaults: Mapping[str, Any]

    def cost(self, variables: Mapping[str, Any] | None) -> int:
        """Compute the cost of the operation with these variables."""
        values = {**self.defaults, **(variables or {})}
        memo: dict[int, int] = {}
        return self.size.cost.evaluate(values, memo) + self.size.weight.evaluate(values, memo)


def measure(schema: GraphQLSchema, document: DocumentNode) -> dict[str | None, OperationMeasure]:
    """Measure every operation of the document, by name; too much nesting is a GraphQLError."""
    walk = _Walk(schema, document)
    measures = {}
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            root = schema.get_root_type(operation.operation)
            size = walk.selection(operation.selection_set, root, 0)
            defaults = {
                variable.variable.name.value: int(variable.default_value.value)
                for variable in operation.variable_definitions or ()
                if isinstance(variable.default_value, IntValueNode)
            }
            measures[operation.name.value if operation.name else None] = OperationMeasure(size, defaults)
    return measures


def check_size(measured: OperationMeasure) -> list[GraphQLError]:
    """Say which limits the operation exceeds whatever its variables are."""
    size = measured.size
    checks = (
        ("depth", size.depth, MAX_DEPTH),
        ("nesting of fragments", size.nesting, MAX_NESTING),
        ("number of aliases", size.aliases, MAX_ALIASES),
        ("number of fields", size.fields, MAX_FIELDS),
    )
    return [too_complex(what, found, limit) for what, found, limit in checks if found > limit]


def too_complex(what: str, found: int, limit: int) -> GraphQLError:
    """Make the error for a limit that is exceeded."""
    return GraphQLError(
        f"The operation's {what}, {found}, exceeds the limit of {limit}.",
        extensions={"code": QUERY_TOO_COMPLEX, "retryable": False},
    )


class _Walk:
    """The pass over one document, with what is known about its fragments."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.measured: dict[str, Measure] = {}
        self.underway: set[str] = set()

    def selection(self, node: SelectionSetNode | None, parent: GraphQLNamedType | None, level: int) -> Measure:
        """Measure a selection set on the type `parent`, which is None where the document is not valid."""
        if level > MAX_NESTING:
            raise too_complex("nesting of fragments", level, MAX_NESTING)
        depth = nesting = aliases = fields = 0
        costs: list[Cost] = []
        weights: list[Cost] = []
        for selected in node.selections if node else ():
            if isinstance(selected, FieldNode):
                size = self.field(selected, parent, level)
            elif isinstance(selected, FragmentSpreadNode):
                size = self.fragment(selected.name.value, level)
            elif isinstance(selected, InlineFragmentNode):
                condition = selected.type_condition
                inner = self.schema.get_type(condition.name.value) if condition else parent
                size = self.selection(selected.selection_set, inner, level + 1)
            else:
                raise TypeError(f"a selection set can't have a {selected.kind}")
            depth = max(depth, size.depth)
            nesting = max(nesting, size.nesting + 1)
            aliases = min(aliases + size.aliases, CAP)
            fields = min(fields + size.fields, CAP)
            costs.append(size.cost)
            weights.append(size.weight)
        return Measure(depth, nesting, aliases, fields, add_up(costs), add_up(weights))

    def field(self, node: FieldNode, parent: GraphQLNamedType | None, level: int) -> Measure:
        """Measure a field with what is below it, as often as its page has items."""
        name = node.name.value
        definition = parent.fields.get(name) if is_object_type(parent) or is_interface_type(parent) else None
        inner = get_named_type(definition.type) if definition else None
        below = self.selection(node.selection_set, inner, level + 1)
        aliases = below.aliases + (node.alias is not None)
        if name.startswith("__"):
            fields = below.fields + (name != "__typename")
            return Measure(0, below.nesting, aliases, fields, Cost(fields), NOTHING)
        factor = _page_size(node, definition) if definition else ONCE
        cost = below.cost.times(factor, 1)
        own = WEIGHTS.get((parent.name, name), 0) if parent else 0
        weight = below.weight.times(replace(factor, most=ROWS_OF_ANY_SIZE), own)
        return Measure(below.depth + 1, below.nesting, aliases, below.fields + 1, cost, weight)

    def fragment(self, name: str, level: int) -> Measure:
        """Measure a fragment once; unknown ones and cycles count nothing, since validation reports them."""
        definition = self.fragments.get(name)
        if definition is None or name in self.underway:
            return Measure(0, 0, 0, 0, NOTHING, NOTHING)
        found = self.measured.get(name)
        if found is None:
            self.underway.add(name)
            condition = self.schema.get_type(definition.type_condition.name.value)
            found = self.measured[name] = self.selection(definition.selection_set, condition, level + 1)
            self.underway.discard(name)
        return found


def _page_size(node: FieldNode, definition: GraphQLField) -> Factor:
    argument = next((name for name in PAGE_ARGUMENTS if name in definition.args), None)
    if argument is None:
        return ONCE
    default = definition.args[argument].default_value
    fallback = default if isinstance(default, int) else 1
    for given in node.arguments or ():
        if given.name.value == argument:
            value = given.value
            if isinstance(value, VariableNode):
                return Factor(fallback, value.name.value)
            if isinstance(value, IntValueNode):
                return Factor(max(int(value.value), 1))
            if isinstance(value, ListValueNode):
                return Factor(max(len(value.values), 1))
    return Factor(fallback)
