"""What an operation may ask for, measured on documents."""

import time
from pathlib import Path

import pytest
from graphql import get_introspection_query, parse

from schema.engine import GatewaySchema
from schema.limits import MAX_ALIASES, MAX_COST, MAX_FIELDS, measure
from schema.root import build_schema
from tests.wire.app import make_test_schema

WALK = Path(__file__).parents[2] / "gateway" / "web" / "explorer" / "src" / "walk"
LIMIT_CODE = {"code": "QUERY_TOO_COMPLEX", "retryable": False}


@pytest.fixture(scope="module")
def schema() -> GatewaySchema:
    """The schema whose documents are measured."""
    return make_test_schema()


async def refusal(schema: GatewaySchema, query: str, **variables: object) -> str | None:
    """The message with which the limits refuse a query, None when it is run."""
    result = await schema.execute(query, variable_values=variables)
    if not result.errors:
        return None
    assert [error.extensions for error in result.errors] == [LIMIT_CODE]
    return result.errors[0].message


def nested(levels: int) -> str:
    """A query of that depth."""
    return "{page" + "{pages" * (levels - 2) + "{name}" + "}" * (levels - 2) + "}"


async def test_depth_is_limited(schema: GatewaySchema) -> None:
    """Fifteen levels pass (with one item a page), the sixteenth does not."""
    assert await refusal(schema, nested(15).replace("pages", "pages(first:1)")) is None
    message = await refusal(schema, nested(16))
    assert message == "The operation's depth, 16, exceeds the limit of 15."


async def test_aliases_are_limited(schema: GatewaySchema) -> None:
    """An alias repeats a field; there may be fifty."""

    def query(count: int) -> str:
        return "{" + " ".join(f"a{index}:hello" for index in range(count)) + "}"

    assert await refusal(schema, query(MAX_ALIASES)) is None
    assert (
        await refusal(schema, query(MAX_ALIASES + 1))
        == "The operation's number of aliases, 51, exceeds the limit of 50."
    )


async def test_fields_are_limited_with_fragments_spread(schema: GatewaySchema) -> None:
    """Fragments count as often as they are spread, introspection included."""
    spread = "{" + "...f " * 20 + "} fragment f on Query {" + "hello " * 51 + "}"
    assert (
        await refusal(schema, spread)
        == f"The operation's number of fields, 1020, exceeds the limit of {MAX_FIELDS}."
    )
    meta = "{__schema{" + "...f " * 20 + "}} fragment f on __Schema {" + "description " * 51 + "}"
    assert "number of fields" in (await refusal(schema, meta) or "")


async def test_exponential_fragments_are_measured_in_one_pass(schema: GatewaySchema) -> None:
    """0.8 KB that spread to 2^20 fields are counted without walking them: each fragment is measured once."""
    levels = "".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 1}}}" for n in range(20))
    query = "{...f0}" + levels + "fragment f20 on Query{hello}"
    assert len(query) < 900
    measured = measure(schema.documents._schema, parse(query))[None]  # noqa: SLF001  # the graphql-core schema
    assert measured.size.fields == 2**20
    assert "1048576" in (await refusal(schema, query) or "")


async def test_chains_of_fragments_are_limited(schema: GatewaySchema) -> None:
    """A chain that would exhaust the interpreter's stack is refused, not an internal error."""
    chain = "".join(f"fragment f{n} on Query{{...f{n + 1}}}" for n in range(400))
    assert "nesting of fragments" in (
        await refusal(schema, "{...f0}" + chain + "fragment f400 on Query{hello}") or ""
    )


async def test_cycles_are_a_validation_error(schema: GatewaySchema) -> None:
    """A fragment that spreads itself ends the walk, and validation says so."""
    result = await schema.execute("{...a} fragment a on Query{hello ...b} fragment b on Query{...a}")
    assert {(error.extensions or {})["code"] for error in result.errors or []} == {"GRAPHQL_VALIDATION_FAILED"}


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{hello}", {}, 1),
        ("{page{pages{name}}}", {}, 1 + 1 + 50),
        ("{page{pages(first:7){name}}}", {}, 1 + 1 + 7),
        ("query($n:Int!){page{pages(first:$n){name}}}", {"n": 9}, 1 + 1 + 9),
        ("query($n:Int!=8){page{pages(first:$n){name}}}", {}, 1 + 1 + 8),
        ("query($n:Int!){page{pages(first:$n){name}}}", {"n": -5}, 1 + 1 + 1),
        ("{page{...on Page{pages(first:6){...{name}}}}}", {}, 1 + 1 + 6),
        ("{page{some(ids:[1,2,3]){name}}}", {}, 1 + 1 + 3),
        ("query($ids:[Int!]!){page{some(ids:$ids){name}}}", {"ids": [1, 2, 3, 4]}, 1 + 1 + 4),
        (
            "query($n:Int!=8){page{pages(first:$n){...f}}} fragment f on Page{pages(first:$n){name}}",
            {"n": 3},
            1 + 1 + 3 * 4,
        ),
    ],
)
def test_cost_multiplies_pages(schema: GatewaySchema, query: str, variables: dict[str, object], cost: int) -> None:
    """A page counts as often as it has items: as written, by the variable, or by the default."""
    measured = measure(schema.documents._schema, parse(query))[None]  # noqa: SLF001  # the graphql-core schema
    assert measured.cost(variables) == cost


BODIES = "requestBody responseBody"
BODIES_OF_LOG = f"fragment f on ExecutionLog{{{BODIES}}}"


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ('{function(id:"f"){code}}', {}, 1 + 1 + 512),
        ("{workspace(id:1){functions(first:100){nodes{id code}}}}", {}, 2 + 100 * 3 + 100 * 512),
        ("query($n:[ID!]!){nodes(ids:$n){...on Function{code}}}", {"n": ["f"] * 7}, 1 + 7 + 7 * 512),
        ("{function(id:1){executionLogs{nodes{responseBody}}}}", {}, 2 + 100 * 2 + 100 * 256),
        (
            f"query($n:Int!){{function(id:1){{executionLogs(first:$n){{edges{{node{{...f}}}}}}}}}}{BODIES_OF_LOG}",
            {"n": 1000},
            2 + 1000 * 4 + 100 * 320,
        ),
        (
            "{workspace(id:1){functions(first:9){nodes{executionLogs(first:1000){nodes{requestBody}}}}}}",
            {},
            2 + 9 * (2 + 1000 * 2) + 9 * 100 * 64,
        ),
    ],
)
def test_large_fields_cost_more(query: str, variables: dict[str, object], cost: int) -> None:
    """Bodies and sources cost what they may weigh, for the hundred that a page of large ones has."""
    measured = measure(build_schema().documents._schema, parse(query))[None]  # noqa: SLF001  # graphql-core's schema
    assert measured.cost(variables) == cost


@pytest.mark.parametrize("first", [100, 1000])
def test_operation_has_few_pages_with_bodies(first: int) -> None:
    """Two of the largest pages pass, and four don't; without bodies twenty do."""
    schema = build_schema().documents._schema  # noqa: SLF001  # graphql-core's schema

    def cost(count: int, selection: str) -> int:
        pages = " ".join(
            f'a{n}:executionLogs(first:{first},after:"{n}"){{nodes{{{selection}}}}}' for n in range(count)
        )
        return measure(schema, parse(f"{{function(id:1){{{pages}}}}}"))[None].cost({})

    assert cost(2, f"id {BODIES}") <= MAX_COST < cost(4, f"id {BODIES}")
    assert cost(20, "id status duration") <= MAX_COST


async def test_cost_is_limited_by_the_variables_of_each_operation(schema: GatewaySchema) -> None:
    """The same document passes with small pages and not with large ones, cached or not."""
    query = "query($n:Int!){page{pages(first:$n){pages(first:$n){pages(first:$n){name}}}}}"
    assert await refusal(schema, query, n=10) is None
    assert f"exceeds the limit of {MAX_COST}" in (await refusal(schema, query, n=100) or "")
    assert await refusal(schema, query, n=10) is None


async def test_tokens_and_characters_are_limited(schema: GatewaySchema) -> None:
    """A document that is too long is refused before it is parsed."""
    assert "5000 tokens" in (await refusal(schema, "{" + "hello " * 6000 + "}") or "")
    assert "length in characters" in (await refusal(schema, "{hello}" + " " * 100_000) or "")


@pytest.mark.parametrize(
    "query",
    [
        "{" + "page{name} " * 499 + "}",
        "{" + "page{some(ids:[1]){name}} " * 330 + "}",
        "{" + "__typename " * 4_900 + "}",
        "{"
        + "".join(f"...f{n} " for n in range(300))
        + "}"
        + "".join(f"fragment f{n} on Query{{page{{name}}}}" for n in range(300)),
    ],
    ids=["fields", "arguments", "typename", "fragments"],
)
async def test_repetitions_are_limited(schema: GatewaySchema, query: str) -> None:
    """Comparing fields of one name takes quadratic time, and held the loop for seconds on a few KB."""
    began = time.process_time()
    message = await refusal(schema, query)
    assert message == "The operation repeats fields too often: comparing them takes more than 20000 steps."
    assert time.process_time() - began < 1


async def test_some_repetition_passes(schema: GatewaySchema) -> None:
    """Clients that put fragments together ask for the same fields a few dozen times."""
    assert await refusal(schema, "{" + "page{name pages(first:1){name}} " * 40 + "}") is None


@pytest.mark.parametrize("path", sorted(WALK.glob("*.graphql")), ids=lambda path: path.stem)
def test_pages_of_the_explorer_pass(path: Path) -> None:
    """What people start from is within every limit that does not depend on variables."""
    documents = build_schema().documents
    text = path.read_text()
    assert documents.prepare(text, parse(text)).errors == ()


async def test_introspection_query_passes(schema: GatewaySchema) -> None:
    """The explorer asks for everything there is."""
    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    assert await refusal(schema, query) is None


async def test_document_is_parsed_and_validated_once(schema: GatewaySchema) -> None:
    """A text that was valid is found again; one that was not is not kept."""
    text = "{ hello # once\n}"
    await schema.execute(text)
    first = schema.documents.find(text)
    await schema.execute(text)
    assert first is not None
    assert schema.documents.find(text) is first
    await schema.execute("{nope}")
    assert schema.documents.find("{nope}") is None


async def test_cache_forgets_what_was_not_used_lately() -> None:
    """The cache is bounded by the characters it holds; the least recently used goes first."""
    schema = make_test_schema()
    texts = [f"{{hello}} #{letter * 90_000}" for letter in "abc"]
    for text in texts[:2]:
        await schema.execute(text)
    await schema.execute(texts[0])
    await schema.execute(texts[2])
    assert [schema.documents.find(text) is not None for text in texts] == [True, False, True]
