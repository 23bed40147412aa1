"""What the builder says no to before there is a task: FastAPI's 422s, what is not there, and its crash."""

import pytest

from gateway.local.builder.config import Dialect
from tests.local.builder.stage import Builder, StartBuilder

pytestmark = pytest.mark.asyncio(loop_scope="session")

MISSING_FILE = {"type": "missing", "loc": ["body", "file"], "msg": "Field required"}
MISSING_WORKSPACE = {"type": "missing", "loc": ["body", "workspace_id"], "msg": "Field required"}


async def test_upload_is_422_when_fields_are_missing(builder: Builder) -> None:
    """FastAPI's list of what is wrong; an empty form field counts as missing."""
    empty = await builder.client.post("/api/v1/build")
    assert (empty.status_code, empty.json()) == (422, {"detail": [MISSING_FILE, MISSING_WORKSPACE]})
    blank = await builder.client.post("/api/v1/build", data={"workspace_id": ""}, files={"file": ("a.py", b"")})
    assert (blank.status_code, blank.json()) == (422, {"detail": [MISSING_WORKSPACE]})
    text = await builder.client.post("/api/v1/build", data={"workspace_id": "ws-1", "file": "text"})
    assert text.status_code == 422
    assert text.json()["detail"][0]["type"] == "value_error"


async def test_build_and_push_is_422_without_registry_when_documented(start_builder: StartBuilder) -> None:
    """The documented version requires registry_url."""
    async with start_builder(dialect=Dialect.DOCUMENTED) as builder:
        answer = await builder.client.post(
            "/api/v1/build-and-push", data={"workspace_id": "ws-1"}, files={"file": ("a.py", b"")}
        )
    missing = {"type": "missing", "loc": ["body", "registry_url"], "msg": "Field required"}
    assert (answer.status_code, answer.json()) == (422, {"detail": [missing]})


async def test_json_calls_are_422_when_the_body_is_not_theirs(builder: Builder) -> None:
    """Every missing string of /push is named; what is no JSON is one error."""
    answer = await builder.client.post("/api/v1/push", json={"tag": "x"})
    assert answer.status_code == 422
    missing = [error["loc"][1] for error in answer.json()["detail"]]
    assert missing == ["registry_url", "username", "password", "app_dir", "workspace_id"]
    answer = await builder.client.post("/api/v1/push", content=b"{")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


async def test_unknown_is_404(builder: Builder) -> None:
    """Tasks, paths and empty workspaces that are not there."""
    answer = await builder.client.get("/api/v1/tasks/nope", params={"workspace_id": "ws-none"})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found: nope"})
    answer = await builder.client.get("/api/v1/nope")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await builder.client.get("/api/v1/workspaces/ws-none/tasks")
    assert answer.json() == {"workspace_id": "ws-none", "tasks": [], "count": 0}


async def test_crash_is_plain_text(start_builder: StartBuilder) -> None:
    """What the service did not expect (here: there is no bucket) is told without JSON."""
    async with start_builder(bucket="there-is-none") as builder:
        answer = await builder.client.post(
            "/api/v1/build", data={"workspace_id": "ws-1"}, files={"file": ("a.py", b"")}
        )
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_health_is_answered(builder: Builder) -> None:
    """The service says that it is well."""
    answer = await builder.client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
