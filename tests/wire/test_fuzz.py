"""Whatever is sent, the answer is JSON with a code on each error, and never a 500."""

import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.conftest import Served

FUZZ = settings(max_examples=200, deadline=None, database=None, derandomize=True)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
documents = st.sampled_from(
    [
        "{hello}",
        "query($v:JSON!){echo(value:$v)}",
        "mutation($input:ThingInput!){create(input:$input)}",
        "subscription{count}",
        "query A{hello} query B{hello}",
        "{",
        "",
    ]
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "query": documents | json_values,
        "variables": st.fixed_dictionaries({}, optional={"v": json_values, "input": json_values}) | json_values,
        "operationName": st.sampled_from(["A", "B"]) | json_values,
        "extensions": json_values,
    },
)
content_types = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        ";",
    ]
)
accepts = st.sampled_from(
    [
        "application/json",
        "application/graphql-response+json",
        "*/*",
        "text/event-stream",
        "application/json;q=x",
        ",;",
    ]
)


def check(response: httpx.Response) -> None:
    """No answer is a server error, and what is refused says so in JSON."""
    assert response.status_code < 500, response.text
    if response.headers["content-type"] != "text/event-stream":
        body = response.json()
        errors: list[dict[str, Any]] = body.get("errors", [])
        assert "data" in body or errors
        assert all(error["extensions"]["code"] for error in errors)
        assert "INTERNAL_SERVER_ERROR" not in response.text


@FUZZ
@given(body=st.binary(max_size=200), content_type=content_types, accept=accepts)
def test_any_bytes_get_an_answer(
    running: Served, http: httpx.Client, body: bytes, content_type: str, accept: str
) -> None:
    """Bodies of noise."""
    headers = {"content-type": content_type, "accept": accept, "x-requested-with": "test"}
    check(http.post(running.url, content=body, headers=headers))


@FUZZ
@given(request=requests | json_values, accept=accepts)
def test_any_json_gets_an_answer(running: Served, http: httpx.Client, request: object, accept: str) -> None:
    """Bodies that are JSON, and nearly requests."""
    headers = {"content-type": "application/json", "accept": accept}
    check(http.post(running.url, content=json.dumps(request).encode(), headers=headers))


@FUZZ
@given(
    parameters=st.dictionaries(
        st.sampled_from(["query", "variables", "operationName", "extensions", "x"]),
        documents | st.text(st.characters(codec="utf-8")) | json_values.map(json.dumps),
    ),
    accept=accepts,
)
def test_any_address_gets_an_answer(
    running: Served, http: httpx.Client, parameters: dict[str, str], accept: str
) -> None:
    """Parameters of GET requests."""
    check(http.get(running.url, params=parameters, headers={"accept": accept}))


@FUZZ
@given(
    operations=json_values, files_map=json_values | st.dictionaries(st.just("0"), st.lists(st.text(), max_size=2))
)
def test_any_upload_gets_an_answer(
    running: Served, http: httpx.Client, operations: object, files_map: object
) -> None:
    """Uploads whose parts are JSON of any shape."""
    fields = {"operations": json.dumps(operations), "map": json.dumps(files_map)}
    files: Any = {"0": ("a", b"b")}
    check(http.post(running.url, data=fields, files=files, headers={"x-requested-with": "test"}))
