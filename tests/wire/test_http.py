"""GraphQL over HTTP: negotiation, statuses, malformed requests."""

import httpx
import pytest

from tests.wire.conftest import Post, Served, error_of

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {JSON}", JSON),
        # What urql sends with every request: a query is answered plainly.
        (f"{GRAPHQL}, {JSON}, text/event-stream, multipart/mixed", GRAPHQL),
    ],
)
def test_media_type_follows_accept(
    served: Served, http: httpx.Client, accept: str | None, media_type: str
) -> None:
    """The answer has the type the client likes best."""
    request = http.build_request("POST", served.url, json={"query": "{hello}"}, headers={"accept": accept or ""})
    if accept is None:
        del request.headers["accept"]
    response = http.send(request)
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert response.json()["data"] == {"hello": "hello world"}


@pytest.mark.parametrize(
    ("query", "variables", "status_graphql", "code", "has_data"),
    [
        ("{", None, 400, "GRAPHQL_PARSE_FAILED", False),
        ("{nope}", None, 400, "GRAPHQL_VALIDATION_FAILED", False),
        ("query($n:Int!){page{pages(first:$n){name}}}", {"n": "x"}, 400, "VALIDATION_ERROR", False),
        ("{slow}", None, 504, "TIMEOUT", False),
        ("{hello conflict}", None, 200, "CONFLICT", True),
        ("{brokenRequired}", None, 200, "INTERNAL_SERVER_ERROR", True),
    ],
)
def test_status_of_failures_when_media_type_is(
    served: Served,
    http: httpx.Client,
    query: str,
    variables: dict[str, object] | None,
    status_graphql: int,
    code: str,
    has_data: bool,
) -> None:
    """Plain JSON is always 200; the newer type says by its status that nothing was executed."""
    for accept, status in ((JSON, 200), (GRAPHQL, status_graphql)):
        response = http.post(served.url, json={"query": query, "variables": variables}, headers={"accept": accept})
        body = response.json()
        assert (response.status_code, body["errors"][0]["extensions"]["code"]) == (status, code)
        assert ("data" in body) is has_data


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"query":"{hello}","variables":{"a":NaN}}', "NaN is not JSON"),
        (b'{"query":"{hello}","variables":{"a":1e999}}', "beyond the range"),
        (b'{"query":"{hello}","variables":{"a":"\\ud800"}}', "surrogates not allowed"),
        (b'{"query":"{hello}","variables":{"a":' + b"1" * 5000 + b"}}", "digits"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"query":"{hello}","variables":{"a":' + b"[" * 300 + b"]" * 300 + b"}}", "Nested deeper"),
        (b"1", "has to be a JSON object"),
        (b"null", "has to be a JSON object"),
        (b'[{"query":"{hello}"}]', "Batches are not enabled"),
        (b"{}", "has no query"),
        (b'{"query":""}', "has no query"),
        (b'{"query":1}', "query has to be a string"),
        (b'{"query":"{hello}","variables":[]}', "variables has to be an object"),
        (b'{"query":"{hello}","operationName":1}', "operationName has to be a string"),
        (b'{"query":"{hello}","extensions":"x"}', "extensions has to be an object"),
        (b'{"query":"{hello}","operationName":"nope"}', 'Unknown operation named "nope"'),
    ],
)
def test_malformed_body_is_bad_request(served: Served, http: httpx.Client, body: bytes, message: str) -> None:
    """What can't be read or is no request is 400 with BAD_REQUEST."""
    response = http.post(served.url, content=body, headers={"content-type": JSON})
    status, code, said = error_of(response)
    assert (status, code) == (400, "BAD_REQUEST")
    assert message in said


def test_operation_name_is_needed_when_there_are_several(post: Post) -> None:
    """Two operations and no name can't be run; with a name the right one is."""
    query = "query A{a:hello} query B{b:hello}"
    assert post(query)["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert post(query, operationName="B")["data"] == {"b": "hello world"}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16"]
)
def test_other_content_types_are_refused(served: Served, http: httpx.Client, content_type: str) -> None:
    """Types that a form can send, and encodings other than UTF-8, are 415."""
    response = http.post(served.url, content=b'{"query":"{hello}"}', headers={"content-type": content_type})
    assert error_of(response)[:2] == (415, "BAD_REQUEST")


def test_get_runs_queries_and_no_mutation(served: Served, http: httpx.Client) -> None:
    """GET has parameters in the address; mutations are 405 over it, whatever is accepted, and change nothing."""
    good = http.get(served.url, params={"query": "query($n:String!){hello(name:$n)}", "variables": '{"n":"you"}'})
    assert good.json()["data"] == {"hello": "hello you"}
    for accept in (JSON, GRAPHQL, "text/event-stream"):
        query = 'mutation{create(input:{name:"x"})}'
        response = http.get(served.url, params={"query": query}, headers={"accept": accept})
        assert error_of(response)[:2] == (405, "BAD_REQUEST")
        assert response.headers["allow"] == "POST"
    assert served.seen.mutated == 0


@pytest.mark.parametrize("variables", ["{", "[]", '"x"', "NaN"])
def test_get_with_bad_variables_is_bad_request(served: Served, http: httpx.Client, variables: str) -> None:
    """Variables in the address have to be a JSON object."""
    response = http.get(served.url, params={"query": "{hello}", "variables": variables})
    assert error_of(response)[:2] == (400, "BAD_REQUEST")


def test_other_methods_are_refused(served: Served, http: httpx.Client) -> None:
    """What is allowed is said."""
    response = http.put(served.url, content=b"{}")
    assert error_of(response)[:2] == (405, "BAD_REQUEST")
    assert response.headers["allow"] == "GET, HEAD, POST"


def test_head_is_get_without_the_body(served: Served, http: httpx.Client) -> None:
    """Who asks for the head of the page or of a query gets it."""
    page = http.head(served.url, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"], page.content) == (200, "text/html; charset=utf-8", b"")
    query = http.head(served.url, params={"query": "{hello}"})
    assert (query.status_code, query.headers["content-type"], query.content) == (200, JSON, b"")
    assert http.head(served.url, params={"query": 'mutation{create(input:{name:"x"})}'}).status_code == 405
    assert served.seen.mutated == 0


def test_unknown_media_type_is_not_acceptable(served: Served, http: httpx.Client) -> None:
    """A client that takes pictures only is told what there is."""
    response = http.post(served.url, json={"query": "{hello}"}, headers={"accept": "image/png"})
    assert error_of(response)[:2] == (406, "BAD_REQUEST")


def test_subscription_over_plain_http_is_refused(served: Served, http: httpx.Client) -> None:
    """A subscription without a stream to answer on says where to go."""
    for response in (
        http.post(served.url, json={"query": "subscription{count}"}, headers={"accept": JSON}),
        http.get(served.url, params={"query": "subscription{count}"}),
    ):
        status, code, message = error_of(response)
        assert (status, code) == (400, "BAD_REQUEST")
        assert "text/event-stream" in message
    assert served.seen.active == 0


def test_browser_gets_the_explorer(served: Served, http: httpx.Client) -> None:
    """Who navigates to the address sees a page, with a query in the link too; who asks for JSON gets JSON."""
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    assert http.get(served.url, headers=browser).text == "<title>explorer</title>"
    linked = http.get(served.url, headers=browser, params={"query": "{hello}"})
    assert linked.text == "<title>explorer</title>"
    assert error_of(http.get(served.url))[:2] == (400, "BAD_REQUEST")


def test_cost_counts_upstream_calls(post: Post) -> None:
    """Each response says what it took upstream, by system; reads of one operation share a loader."""
    assert post("{a:row(key:1) b:row(key:2)}")["extensions"]["cost"]["upstreamCalls"] == {"dynamodb": 1}
    assert post("{hello}")["extensions"]["cost"] == {
        "upstreamCalls": {},
        "complexity": 1,
        "maxComplexity": 100_000,
    }


def test_every_operation_has_a_context_of_its_own(post: Post, served: Served) -> None:
    """What one operation has read is read again by the next."""
    post("{a:row(key:7) b:row(key:7)}")
    post("{row(key:7)}")
    assert served.seen.reads == [7, 7]
    assert len({id(context) for context in served.seen.contexts}) == 2
