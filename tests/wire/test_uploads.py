"""Uploads: https://github.com/jaydenseric/graphql-multipart-request-spec."""

import json
from typing import Any

import httpx
import pytest

from tests.wire.app import MAX_BODY_BYTES, MAX_UPLOAD_BYTES
from tests.wire.conftest import Served

OPERATIONS = {"query": "mutation($file:Upload!){upload(file:$file)}", "variables": {"file": None}}
PREFLIGHT = {"graphql-require-preflight": "1"}


def send(
    http: httpx.Client,
    served: Served,
    content: bytes = b"hello",
    *,
    operations: object = OPERATIONS,
    files_map: object = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Upload one file, as the specification has it unless told otherwise."""
    fields = {
        "operations": operations if isinstance(operations, str) else json.dumps(operations),
        "map": json.dumps({"0": ["variables.file"]} if files_map is None else files_map),
    }
    files: Any = {"0": ("source.py", content, "text/x-python")}
    return http.post(served.url, data=fields, files=files, headers=PREFLIGHT if headers is None else headers)


@pytest.mark.parametrize("header", ["apollo-require-preflight", "graphql-require-preflight", "x-requested-with"])
def test_upload_reaches_the_resolver(served: Served, http: httpx.Client, header: str) -> None:
    """Any header that a form can't set will do."""
    response = send(http, served, b"x" * 70_000, headers={header: "1"})
    assert response.json()["data"] == {"upload": 70_000}


def test_upload_is_refused_without_a_preflight_header(served: Served, http: httpx.Client) -> None:
    """A form on another site could send it."""
    response = send(http, served, headers={})
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_upload_is_read_by_a_stream_client(served: Served, http: httpx.Client) -> None:
    """The file is open for as long as the operation runs."""
    response = send(http, served, headers=PREFLIGHT | {"accept": "text/event-stream"})
    assert '"upload":5' in response.text


def test_uploads_have_a_larger_limit_than_bodies(served: Served, http: httpx.Client) -> None:
    """Between the two limits an upload passes; beyond them it is refused."""
    passed = send(http, served, b"x" * MAX_UPLOAD_BYTES)
    assert passed.json()["data"] == {"upload": MAX_UPLOAD_BYTES}
    refused = send(http, served, b"x" * (MAX_UPLOAD_BYTES + MAX_BODY_BYTES))
    assert refused.status_code == 413
    assert refused.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize(
    ("operations", "files_map", "message"),
    [
        ("{", None, "operations is not valid JSON"),
        ([OPERATIONS], None, "JSON objects"),
        (OPERATIONS, [], "JSON objects"),
        (OPERATIONS, {"9": ["variables.file"]}, "no file"),
        (OPERATIONS, {"map": ["variables.file"]}, "no file"),
        (OPERATIONS, {"0": "variables.file"}, "list of paths"),
        (OPERATIONS, {"0": [1]}, "list of paths"),
        (OPERATIONS, {"0": ["variables.nope"]}, "leads to no null"),
        (OPERATIONS, {"0": ["query"]}, "leads to no null"),
        (OPERATIONS, {"0": ["query.0"]}, "leads to no null"),
        (OPERATIONS, {"0": ["variables.file.deeper"]}, "leads to no null"),
        (OPERATIONS, {"0": [""]}, "leads to no null"),
        ({"query": "{hello}", "variables": {"file": [1]}}, {"0": ["variables.file.x"]}, "leads to no null"),
        ({"query": 1, "variables": {"file": None}}, None, "query has to be a string"),
    ],
)
def test_malformed_upload_is_bad_request(
    served: Served, http: httpx.Client, operations: object, files_map: object, message: str
) -> None:
    """Maps that lead nowhere and fields that are none are 400."""
    response = send(http, served, operations=operations, files_map=files_map)
    [error] = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert message in error["message"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
        ("multipart/form-data; boundary=\xe9", b"--x"),
    ],
)
def test_body_that_is_no_multipart_is_bad_request(
    served: Served, http: httpx.Client, content_type: str, body: bytes
) -> None:
    """The parser's complaints are the client's mistakes."""
    headers = [(b"content-type", content_type.encode("latin-1")), (b"x-requested-with", b"test")]
    response = http.post(served.url, content=body, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
