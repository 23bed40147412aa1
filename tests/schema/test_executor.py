"""The executor that reads plain columns by plans gives what graphql-core's own gives, whatever the document."""

import asyncio
import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import isawaitable
from operator import attrgetter
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import strawberry
from graphql import ExecutionResult, execute, parse
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.executor import PlanningExecutor, Plans
from schema.plans import plain
from schema.scalars import SCALARS

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@strawberry.enum
class Color(enum.Enum):
    """Colours."""

    RED = "red"
    GREEN = "green"


@strawberry.interface
class Thing:
    """Anything with an id."""

    id: strawberry.ID


@strawberry.type
class Part:
    """A part of an item."""

    name: str
    weight: float | None


@strawberry.type
class Item(Thing):
    """An item with all kinds of columns."""

    name: str
    note: str | None
    count: int
    price: float
    is_new: bool
    color: Color
    at: datetime
    extra: JSON | None
    tags: list[str]
    colors: list[Color | None]
    parts: list[Part]
    matrix: list[list[int]]
    main_part: Part | None
    total: strawberry.Private[int | None] = 7

    @strawberry.field(metadata=plain(attrgetter("total_or_unusual")))
    async def later(self) -> int:
        """A field that is there for some and takes waiting for others."""
        await asyncio.sleep(0)
        return 7

    @property
    def total_or_unusual(self) -> int:
        """What the plan reads."""
        if self.total is None:
            raise LookupError("not there yet")
        return self.total

    @strawberry.field
    def doubled(self, times: int = 2) -> int:
        """A field with an argument."""
        return self.count * times

    @strawberry.field
    async def related(self) -> list["Item"]:
        """Other items, after a wait."""
        await asyncio.sleep(0)
        return [item(id=strawberry.ID("related"))]


@strawberry.type
class Other(Thing):
    """Another thing."""

    size: int


def item(**changes: Any) -> Item:
    """An item, but for what is said."""
    values: dict[str, Any] = {
        "id": strawberry.ID("1"),
        "name": "one",
        "note": None,
        "count": 3,
        "price": 1.5,
        "is_new": True,
        "color": Color.RED,
        "at": AT,
        "extra": {"a": [1, None]},
        "tags": ["x", "y"],
        "colors": [Color.GREEN, None],
        "parts": [Part(name="p", weight=1.0), Part(name="q", weight=None)],
        "matrix": [[1, 2], []],
        "main_part": Part(name="m", weight=2.5),
    }
    return Item(**values | changes)


class Awkward:
    """An object of another class, whose attributes fail."""

    id = "awkward"

    @property
    def size(self) -> int:
        """Fail."""
        raise ValueError("no size")


BROKEN: dict[str, Any] = {
    "null name": {"name": None},
    "number as name": {"name": 5},
    "huge count": {"count": 2**40},
    "count as text": {"count": "3"},
    "infinite price": {"price": float("inf")},
    "price as int": {"price": 2},
    "number as flag": {"is_new": 1},
    "unknown colour": {"color": "purple"},
    "colour by value": {"color": "red"},
    "no time": {"at": "yesterday"},
    "null in tags": {"tags": ["x", None]},
    "tags as text": {"tags": "xy"},
    "tags as tuple": {"tags": ("x",)},
    "tags as generator": {},
    "no tags": {"tags": None},
    "null part": {"parts": [None]},
    "error as part": {"main_part": ValueError("broken part")},
    "error as note": {"note": ValueError("broken note")},
    "part without weight": {"main_part": SimpleNamespace(name="only a name")},
    "foreign part": {"main_part": SimpleNamespace(name="n", weight=1.0)},
    "not there yet": {"total": None},
}


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def items(self) -> list[Item]:
        """Plain items."""
        return [item(), item(id=strawberry.ID("2"), note="two", main_part=None)]

    @strawberry.field
    def broken(self, what: str) -> list[Item]:
        """A list whose second item has something wrong."""
        values = {**BROKEN[what]}
        if what == "tags as generator":
            values["tags"] = (tag for tag in ("a", "b"))
        return [item(), item(**values)]

    @strawberry.field
    def nullable(self, what: str) -> list[Item | None]:
        """The same, where an item may be null."""
        return [item(), item(**BROKEN[what])]

    @strawberry.field
    def one(self) -> Item | None:
        """An item."""
        return item()

    @strawberry.field
    def none(self) -> Item | None:
        """No item."""
        return None

    @strawberry.field
    def things(self) -> list[Thing]:
        """Things of several types."""
        return [item(), Other(id=strawberry.ID("o"), size=1)]

    @strawberry.field
    def either(self) -> list[Annotated[Item | Other, strawberry.union("Either")]]:
        """A union."""
        return [item(), Other(id=strawberry.ID("o"), size=1)]

    @strawberry.field
    def others(self) -> list[Other]:
        """Objects that are not of the type's class."""
        return [Awkward()]  # type: ignore[list-item]  # that is the point


SCHEMAS = {
    executor: strawberry.Schema(
        Query, execution_context_class=executor, config=StrawberryConfig(scalar_map=SCALARS), types=[Other]
    )
    for executor in (StrawberryGraphQLCoreExecutionContext, PlanningExecutor)
}
ALL = """id name note count price isNew color at extra tags colors matrix
  parts { name weight } mainPart { name weight }"""
DOCUMENTS = [
    f"{{ items {{ {ALL} }} }}",
    f"{{ items {{ {ALL} later }} }}",
    f"{{ one {{ {ALL} doubled }} none {{ name }} }}",
    """{ items { first: name second: name third: mainPart { a: name } ...F } }
    fragment F on Item { tags ...G } fragment G on Item { mainPart { weight } }""",
    "{ items { ... on Thing { id } ... on Item { name __typename } __typename kind: __typename } __typename }",
    "{ items { mainPart { name } mainPart { weight } ...P } } fragment P on Item { mainPart { name __typename } }",
    """query ($yes: Boolean!) { items { id name @include(if: $yes) note @skip(if: $yes) ...F @include(if: $yes) } }
    fragment F on Item { tags color }""",
    "query ($yes: Boolean!) { one { parts { name @skip(if: $yes) weight } doubled(times: 3) } }",
    "{ things { id __typename ... on Item { name parts { name } } ... on Other { size } } }",
    "{ either { ... on Item { name color } ... on Other { size } __typename } }",
    "{ items { related { id name parts { weight } } doubled } }",
    "{ others { id } }",
    "{ others { size } }",
    *(f'{{ broken(what: "{what}") {{ {ALL} later }} }}' for what in BROKEN),
    *(
        f'{{ nullable(what: "{what}") {{ id name count tags mainPart {{ name weight }} note at }} }}'
        for what in BROKEN
    ),
    *(f'{{ nullable(what: "{what}") {{ later color price isNew parts {{ name }} }} }}' for what in BROKEN),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to."""

    data: Any
    errors: list[tuple[str, Any, Any]]


async def run(
    executor: type[StrawberryGraphQLCoreExecutionContext],
    document: str,
    variables: dict[str, Any],
    plans: Plans | None,
) -> Outcome:
    """Execute with one of the executors."""
    result = await SCHEMAS[executor].execute(
        document, variable_values=variables, context_value=SimpleNamespace(plans=plans)
    )
    errors = [(error.message, error.path, error.locations) for error in result.errors or ()]
    return Outcome(result.data, sorted(errors, key=repr))


async def compare(document: str, variables: dict[str, Any], plans: Plans) -> Outcome:
    """Execute with both, and see that they agree, the order of keys included."""
    stock = await run(StrawberryGraphQLCoreExecutionContext, document, variables, None)
    planned = await run(PlanningExecutor, document, variables, plans)
    assert planned == stock
    assert repr(planned.data) == repr(stock.data)
    return planned


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_planned_result_is_the_stock_result(document: str) -> None:
    """Data, order, errors with their paths and places are the same."""
    for variables in ({"yes": True}, {"yes": False}):
        outcome = await compare(document, variables if "$yes" in document else {}, Plans())
        assert outcome.data is not None or outcome.errors


async def test_plans_are_kept_for_each_decision_of_directives() -> None:
    """The same nodes have other plans where a variable leaves out other fields."""
    node = parse("query ($yes: Boolean!) { one { id name @include(if: $yes) } }")
    plans = Plans()
    for yes, names in ((True, {"id", "name"}), (False, {"id"}), (True, {"id", "name"})):
        result = execute(
            SCHEMAS[PlanningExecutor]._schema,  # noqa: SLF001  # to run the very same nodes again
            node,
            variable_values={"yes": yes},
            context_value=SimpleNamespace(plans=plans),
            executor_class=PlanningExecutor,
        )
        assert isinstance(result, ExecutionResult)
        assert result.data is not None
        assert set(result.data["one"]) == names
    assert [key.decisions for key in plans.found] == [(True,), (False,)]


async def test_events_of_a_subscription_leave_nothing_behind() -> None:
    """The executor of an event keeps its selections to itself, whatever graphql-core does."""
    executor = PlanningExecutor.build(
        SCHEMAS[PlanningExecutor]._schema,  # noqa: SLF001  # what graphql-core takes
        parse("{ one { id related { id } } }"),
        context_value=SimpleNamespace(plans=Plans()),
    )
    assert isinstance(executor, PlanningExecutor)
    kept = {name: len(value) for name, value in vars(executor).items() if isinstance(value, dict)}
    for _ in range(3):
        result = executor.build_per_event_executor(None).execute_operation()
        assert isawaitable(result)
        outcome = await result
        assert isinstance(outcome, ExecutionResult)
        assert outcome.data is not None
        assert outcome.data["one"]["id"] == "1"
    assert {name: len(value) for name, value in vars(executor).items() if isinstance(value, dict)} == kept


async def test_plain_columns_have_a_plan() -> None:
    """A list of plain columns is read by a plan, one with a resolver is not, and its plain parts are."""
    plans = Plans()
    await run(PlanningExecutor, f"{{ items {{ {ALL} later }} }}", {}, plans)
    assert [(key.type_name, plan is not None) for key, plan in plans.found.items()] == [("Item", True)]
    plans = Plans()
    await run(PlanningExecutor, "{ items { doubled parts { name } } }", {}, plans)
    assert [(key.type_name, plan is not None) for key, plan in plans.found.items()] == [
        ("Item", False),
        ("Part", True),
    ]


def selections(depth: int) -> st.SearchStrategy[str]:
    """Selections on Item."""
    plain_ones = ["id", "name", "note", "count", "price", "isNew", "color", "at", "extra", "tags", "colors"]
    others = [
        "matrix",
        "__typename",
        "later",
        "doubled",
        "a: name",
        "parts { name }",
        "mainPart { n: name weight }",
    ]
    decided = ["name @skip(if: $yes)", "parts @include(if: $yes) { weight }", "... @skip(if: $yes) { note tags }"]
    leaf = st.sampled_from([*plain_ones, *others, *decided])
    fields = st.lists(leaf, min_size=1, max_size=6).map(" ".join)
    if depth == 0:
        return fields
    below = selections(depth - 1)
    nested = st.one_of(
        below.map(lambda inner: f"related {{ {inner} }}"),
        below.map(lambda inner: f"... on Thing {{ ... on Item {{ {inner} }} }}"),
        below.map(lambda inner: f"... on Item @include(if: $yes) {{ {inner} }}"),
    )
    return st.lists(st.one_of(fields, nested), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(selections(2), st.booleans(), st.sampled_from(["items", "one", "things", *BROKEN]))
def test_planned_result_is_the_stock_result_for_any_selection(selection: str, yes: bool, root: str) -> None:
    """Whatever is selected, under either decision of the directives, and whatever is wrong with an item."""
    field = f'broken(what: "{root}")' if root in BROKEN else root
    selection = f"... on Item {{ {selection} }}"
    document = f"query ($yes: Boolean! = true) {{ {field} {{ {selection} id }} __typename @skip(if: $yes) }}"

    async def compare_all() -> None:
        await compare(document, {"yes": yes}, Plans())
        # Where a field fails, graphql-core leaves its siblings' resolvers to end in the background.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*left, return_exceptions=True)

    asyncio.run(compare_all())
