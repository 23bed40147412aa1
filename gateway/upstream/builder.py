"""The Builder Service: builds, pushes, deploys; its two dialects are understood here and nowhere else.

The documented service says pending, building, pushing, done and `image_url`; the running one says pending,
running, completed and `image_uri`. What a task's error means to people is gateway/builds/messages.py's.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

import httpx
import orjson

from gateway.errors import BuilderConnectionError, BuilderError
from gateway.records.builds import (
    AcceptedTask,
    BuilderTask,
    DeployRequest,
    DeployResult,
    ScaffoldResult,
    parse_build_status,
)
from gateway.upstream.http import CONNECT_TIMEOUT_S

DEPLOY_TIMEOUT_S = 120.0
"""A deploy blocks the builder's event loop while it waits for Kubernetes."""
UPLOAD_TIMEOUT_S = 60.0
"""Between two parts of an upload, and for the 202 after it: the builder stores the file before it answers."""
MAX_ERROR_CHARACTERS = 2000
"""Of an HTTP error's text: a crash may answer a page of it."""
MAX_PLACE_CHARACTERS = 2048
"""Of an S3 address, whose key may have 1,024 bytes, or an image."""
TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses of a builder that may answer later; its 500 is its word for values that it does not like."""
TASK_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""A task's id goes into a path and a key."""
NO_APP_DIR = "/nonexistent"
"""What a push from S3 names as its directory: with an existing one, the builder would push that."""


class Builder:
    """The Builder Service over its REST API; errors are BuilderError, no answer is BuilderConnectionError."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def start_build(
        self, workspace_id: str, filename: str, file: BinaryIO, *, app_name: str | None
    ) -> AcceptedTask:
        """Build a `.py` or a `.zip`, which is sent as it is read."""
        fields = _given(workspace_id=workspace_id, app_name=app_name)
        return await self._upload("/api/v1/build", fields, filename, file)

    async def start_build_and_push(
        self,
        workspace_id: str,
        filename: str,
        file: BinaryIO,
        *,
        app_name: str | None,
        tag: str,
        registry_url: str | None = None,
        username: str = "",
        password: str = "",
    ) -> AcceptedTask:
        """Build and push as `tag`; empty credentials make the builder use its own IAM role."""
        fields = _given(workspace_id=workspace_id, app_name=app_name, tag=tag, registry_url=registry_url)
        fields |= {"username": username, "password": password}
        return await self._upload("/api/v1/build-and-push", fields, filename, file)

    async def start_push(
        self,
        workspace_id: str,
        source_path: str,
        *,
        registry_url: str,
        tag: str,
        username: str = "",
        password: str = "",
    ) -> AcceptedTask:
        """Push what was built from a source in S3 (`s3://…`)."""
        body = {
            "workspace_id": workspace_id,
            "s3_source_path": source_path,
            "app_dir": NO_APP_DIR,
            "registry_url": registry_url,
            "tag": tag,
            "username": username,
            "password": password,
        }
        return _to_accepted(await self._answer("POST", "/api/v1/push", content=orjson.dumps(body)))

    async def scaffold(
        self, image_ref: str, *, component: str | None, replicas: int, output_path: str | None
    ) -> ScaffoldResult:
        """Make a SpinApp manifest; that it can't be made is an answer too."""
        body = _given(image_ref=image_ref, component=component, replicas=replicas, output_path=output_path)
        answer = await self._answer("POST", "/api/v1/scaffold", content=orjson.dumps(body))
        return ScaffoldResult(
            success=bool(answer.get("success")),
            yaml_content=_text(answer, "yaml_content"),
            file_path=_text(answer, "file_path"),
            error=_text(answer, "error"),
        )

    async def deploy(self, request: DeployRequest) -> DeployResult:
        """Create or update a SpinApp; the same name again is a rolling update. Takes up to 120 s."""
        body = orjson.dumps(_given(**asdict(request)))
        timeout = httpx.Timeout(DEPLOY_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        answer = await self._answer("POST", "/api/v1/deploy", content=body, timeout=timeout)
        return DeployResult(
            app_name=_text(answer, "app_name") or request.app_name or "",
            namespace=_text(answer, "namespace") or request.namespace,
            service_name=_text(answer, "service_name"),
            service_status=_text(answer, "service_status") or "not_found",
            endpoint=_text(answer, "endpoint"),
            enable_autoscaling=bool(answer.get("enable_autoscaling", request.enable_autoscaling)),
            use_spot=bool(answer.get("use_spot", request.use_spot)),
            error=_text(answer, "error"),
        )

    async def get_task(self, workspace_id: str, task_id: str) -> BuilderTask | None:
        """How a task stands; without its workspace a restarted builder would not know it. None on 404."""
        answer = await self._answer(
            "GET", f"/api/v1/tasks/{task_id}", params={"workspace_id": workspace_id}, missing_is_empty=True
        )
        return _to_task(answer) if answer else None

    async def list_tasks(self, workspace_id: str) -> list[BuilderTask]:
        """All tasks of a workspace, read from the table by the builder, past what its replicas remember."""
        answer = await self._answer("GET", f"/api/v1/workspaces/{workspace_id}/tasks")
        tasks = answer.get("tasks")
        known = [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
        return [_to_task(task) for task in known if parse_build_status(str(task.get("status")))]

    async def check(self) -> None:
        """Ask whether it is there."""
        await self._answer("GET", "/health")

    async def _upload(self, path: str, fields: Mapping[str, str], filename: str, file: BinaryIO) -> AcceptedTask:
        timeout = httpx.Timeout(UPLOAD_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        return _to_accepted(
            await self._answer("POST", path, data=fields, files={"file": (filename, file)}, timeout=timeout)
        )

    async def _answer(
        self, method: str, path: str, *, missing_is_empty: bool = False, **options: Any
    ) -> dict[str, Any]:
        headers = {"content-type": "application/json"} if "content" in options else None
        try:
            response = await self._client.request(method, path, headers=headers, **options)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            message = f"The Builder Service did not answer {method} {path}: {reason}"
            raise BuilderConnectionError(message) from error
        if response.status_code == httpx.codes.NOT_FOUND and missing_is_empty:
            return {}
        if not response.is_success:
            raise BuilderError(_readable(response), retryable=response.status_code in TRANSIENT)
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            message = f"The Builder Service answered {method} {path} with what is not JSON."
            raise BuilderError(message, retryable=True) from error
        if not isinstance(answer, dict):
            raise BuilderError(f"The Builder Service answered {method} {path} with no object.", retryable=True)
        return answer


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _readable(response: httpx.Response) -> str:
    """An error's words: `detail` is a list of faults (422) or a text; a crash is plain text."""
    try:
        detail = orjson.loads(response.content)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        detail = response.text.strip()
    if isinstance(detail, list):
        detail = "; ".join(_fault(fault) for fault in detail)
    words = str(detail)[:MAX_ERROR_CHARACTERS] or response.reason_phrase
    return f"The Builder Service answered {response.status_code}: {words}"


def _fault(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    place = ".".join(str(part) for part in fault.get("loc", ()) if part not in {"body", "query", "path"})
    return f"{place}: {fault.get('msg')}" if place else str(fault.get("msg"))


def _to_accepted(answer: Mapping[str, Any]) -> AcceptedTask:
    task_id = _text(answer, "task_id")
    if task_id is None or not TASK_ID.fullmatch(task_id):
        raise BuilderError("The Builder Service accepted the build without naming its task.")
    return AcceptedTask(task_id=task_id, source_path=_text(answer, "source_s3_path"))


def _to_task(answer: Mapping[str, Any]) -> BuilderTask:
    status = parse_build_status(str(answer.get("status")))
    if status is None:
        message = f"The Builder Service answered a status that is not known: {answer.get('status')!r}."
        raise BuilderError(message, retryable=True)
    result = answer.get("result")
    result = result if isinstance(result, dict) else {}
    return BuilderTask(
        task_id=str(answer.get("task_id")),
        status=status,
        wasm_path=_place(result, "wasm_path"),
        image_url=_place(result, "image_uri") or _place(result, "image_url"),
        error=_text(answer, "error"),
    )


def _place(answer: Mapping[str, Any], name: str) -> str | None:
    """An address or image; what is too long for one would make a row that can't be stored."""
    place = _text(answer, name)
    return place if place is not None and len(place) <= MAX_PLACE_CHARACTERS else None


def _text(answer: Mapping[str, Any], name: str) -> str | None:
    """A text that is not empty; whatever else stands there is no answer."""
    value = answer.get(name)
    return value if isinstance(value, str) and value else None
