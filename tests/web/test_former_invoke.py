"""The former backend's invoke path over real sockets."""

from typing import Any

import pytest
import pytest_asyncio

from tests.web.stage import Hall, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def stage(hall: Hall) -> Stage:
    """A function that accepts GET alone, as the former backend's default was."""
    return await hall.stage("GET")


def path(stage: Stage, function_id: str | None = None) -> str:
    """Where the former backend's clients invoke a function."""
    return f"/api/workspaces/{stage.workspace_id}/functions/{function_id or stage.id}/invoke"


async def test_invoke(stage: Stage) -> None:
    """The body is POSTed to the function, and the answer is the stored log in the former JSON."""
    sent = '{"n": 123456789012345678901234567890, "f": 0.1000000000000000055}'
    response = await stage.client.post(path(stage), content=sent, headers={"origin": "http://localhost:3000"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert f'"requestBody":{sent}' in response.text
    log: Any = response.json()
    assert list(log) == [
        "id", "functionId", "timestamp", "status", "duration", "statusCode",
        "requestBody", "responseBody", "logs", "level",
    ]  # fmt: skip
    assert (log["functionId"], log["status"], log["statusCode"]) == (stage.id, "success", 200)
    assert (log["logs"], log["level"], log["timestamp"][-6:]) == ([], "INFO", "+09:00")
    assert (log["responseBody"]["method"], log["responseBody"]["target"]) == ("POST", "/?")
    assert log["responseBody"]["body"] == sent
    assert (await stage.log())["id"] == log["id"]


async def test_invoke_without_a_body(stage: Stage) -> None:
    """Nothing is sent, and null is recorded."""
    log = (await stage.client.post(path(stage))).json()
    assert (log["requestBody"], log["responseBody"]["body"]) == (None, "")


async def test_errors(stage: Stage) -> None:
    """The former bodies, codes and statuses."""

    async def error(url: str, content: bytes = b"") -> tuple[int, Any]:
        response = await stage.client.post(url, content=content)
        return response.status_code, response.json()["error"]

    status, body = await error(path(stage, "fn-missing1"))
    assert (status, body["code"], body["details"]) == (404, "NOT_FOUND", {"field": "functionId"})
    other = await stage.gateway.create_workspace()
    status, body = await error(f"/api/workspaces/{other}/functions/{stage.id}/invoke")
    assert (status, body["code"]) == (404, "NOT_FOUND")
    status, body = await error(path(stage), b"{broken")
    assert (status, body["code"], body["details"]) == (400, "VALIDATION_ERROR", {"field": "body"})
    status, body = await error("/api/workspaces/nothing/functions/nothing/invoke")
    assert (status, body["code"], body["details"]) == (400, "VALIDATION_ERROR", {"field": "workspace_id"})
    new = await stage.gateway.create_function(stage.workspace_id)
    status, body = await error(path(stage, new))
    assert (status, body["code"]) == (400, "NOT_DEPLOYED")
    await stage.update(invocationUrl="http://127.0.0.1:1")
    status, body = await error(path(stage))
    assert (status, body["code"]) == (503, "INVOCATION_ERROR")
    await stage.update(status="DISABLED")
    status, body = await error(path(stage))
    assert (status, body["code"]) == (403, "FUNCTION_DISABLED")
    response = await stage.client.get(path(stage))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_function_that_is_too_slow(stage: Stage) -> None:
    """504 TIMEOUT, and a log that says so."""
    await stage.update(invocationUrl=f"{stage.function_url}/slow", timeout=1)
    response = await stage.client.post(path(stage), content=b"1")
    assert response.status_code == 504
    message = "The function timed out: no answer within 1 s."
    assert response.json() == {"error": {"code": "TIMEOUT", "message": message}}
    log = await stage.log()
    assert (log["statusCode"], log["requestBody"], log["logs"]) == (504, 1, [message])
