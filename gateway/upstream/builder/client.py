"""Calls of the Builder Service; what it answers is read in answers.py, what is sent in parts is requests.py's."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

import httpx
import orjson

from gateway.errors import BuilderConnectionError, BuilderError
from gateway.records.builder import AcceptedTask, BuilderTask, DeployRequest, DeployResult, ScaffoldResult
from gateway.records.builds import parse_build_status
from gateway.upstream.builder.answers import text, to_accepted, to_error, to_task
from gateway.upstream.builder.requests import BeforeEnd, HeldEnd, nothing
from gateway.upstream.http import CONNECT_TIMEOUT_S

DEPLOY_TIMEOUT_S = 120.0
"""A deploy blocks the builder's event loop while it waits for Kubernetes."""
UPLOAD_TIMEOUT_S = 60.0
"""Between two parts of an upload, and for the 202 after it: the builder stores the file before it answers."""
TASK_TIMEOUT_S = 35.0
"""For how a task stands: a deploy blocks the builder's event loop, which may then take 30 s for any answer."""
NO_APP_DIR = "/nonexistent"
"""What a push from S3 names as its directory: with an existing one, the builder would push that."""


class Builder:
    """The Builder Service over its REST API; errors are BuilderError, no answer is BuilderConnectionError."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def start_build(
        self,
        workspace_id: str,
        filename: str,
        file: IO[bytes],
        *,
        app_name: str | None,
        before_end: BeforeEnd = nothing,
    ) -> AcceptedTask:
        """Build a `.py` or a `.zip`, which is sent as it is read."""
        fields = _given(workspace_id=workspace_id, app_name=app_name)
        return await self._upload("/api/v1/build", fields, filename, file, before_end)

    async def start_build_and_push(
        self,
        workspace_id: str,
        filename: str,
        file: IO[bytes],
        *,
        app_name: str | None,
        tag: str,
        registry_url: str | None = None,
        username: str = "",
        password: str = "",
        before_end: BeforeEnd = nothing,
    ) -> AcceptedTask:
        """Build and push as `tag`; empty credentials make the builder use its own IAM role."""
        fields = _given(workspace_id=workspace_id, app_name=app_name, tag=tag, registry_url=registry_url)
        fields |= {"username": username, "password": password}
        return await self._upload("/api/v1/build-and-push", fields, filename, file, before_end)

    async def start_push(
        self,
        workspace_id: str,
        source_path: str,
        *,
        registry_url: str,
        tag: str,
        username: str = "",
        password: str = "",
        before_end: BeforeEnd = nothing,
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
        timeout = _patient(UPLOAD_TIMEOUT_S)
        content = orjson.dumps(body)
        answer = await self._answer(
            "POST", "/api/v1/push", before_end=before_end, content=content, timeout=timeout
        )
        return to_accepted(answer)

    async def scaffold(
        self, image_ref: str, *, component: str | None, replicas: int, output_path: str | None
    ) -> ScaffoldResult:
        """Make a SpinApp manifest; that it can't be made is an answer too."""
        body = _given(image_ref=image_ref, component=component, replicas=replicas, output_path=output_path)
        answer = await self._answer("POST", "/api/v1/scaffold", content=orjson.dumps(body))
        return ScaffoldResult(
            success=bool(answer.get("success")),
            yaml_content=text(answer, "yaml_content"),
            file_path=text(answer, "file_path"),
            error=text(answer, "error"),
        )

    async def deploy(self, request: DeployRequest) -> DeployResult:
        """Create or update a SpinApp; the same name again is a rolling update. Takes up to 120 s."""
        body = orjson.dumps(_given(**asdict(request)))
        answer = await self._answer("POST", "/api/v1/deploy", content=body, timeout=_patient(DEPLOY_TIMEOUT_S))
        return DeployResult(
            app_name=text(answer, "app_name") or request.app_name or "",
            namespace=text(answer, "namespace") or request.namespace,
            service_name=text(answer, "service_name"),
            service_status=text(answer, "service_status") or "not_found",
            endpoint=text(answer, "endpoint"),
            enable_autoscaling=bool(answer.get("enable_autoscaling", request.enable_autoscaling)),
            use_spot=bool(answer.get("use_spot", request.use_spot)),
            error=text(answer, "error"),
        )

    async def get_task(self, workspace_id: str, task_id: str) -> BuilderTask | None:
        """How a task stands; without its workspace a restarted builder would not know it. None on 404."""
        answer = await self._answer(
            "GET",
            f"/api/v1/tasks/{task_id}",
            params={"workspace_id": workspace_id},
            missing_is_empty=True,
            timeout=_patient(TASK_TIMEOUT_S),
        )
        return to_task(answer) if answer else None

    async def list_tasks(self, workspace_id: str) -> list[BuilderTask]:
        """All tasks of a workspace, read from the table by the builder, past what its replicas remember."""
        path = f"/api/v1/workspaces/{workspace_id}/tasks"
        answer = await self._answer("GET", path, timeout=_patient(TASK_TIMEOUT_S))
        tasks = answer.get("tasks")
        known = [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
        return [to_task(task) for task in known if parse_build_status(str(task.get("status")))]

    async def check(self) -> None:
        """Ask whether it is there."""
        await self._answer("GET", "/health")

    async def _upload(
        self, path: str, fields: Mapping[str, str], filename: str, file: IO[bytes], before_end: BeforeEnd
    ) -> AcceptedTask:
        timeout = _patient(UPLOAD_TIMEOUT_S)
        files = {"file": (filename, file)}
        answer = await self._answer("POST", path, before_end=before_end, data=fields, files=files, timeout=timeout)
        return to_accepted(answer)

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        missing_is_empty: bool = False,
        before_end: BeforeEnd | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        headers = {"content-type": "application/json"} if "content" in options else None
        request = self._client.build_request(method, path, headers=headers, **options)
        if before_end is not None and isinstance(request.stream, httpx.AsyncByteStream):
            request.stream = HeldEnd(request.stream, before_end)
        try:
            response = await self._client.send(request)
        except httpx.RequestError as error:  # what can't be unpacked is no answer either
            reason = str(error) or type(error).__name__
            message = f"The Builder Service did not answer {method} {path}: {reason}"
            raise BuilderConnectionError(message) from error
        if response.status_code == httpx.codes.NOT_FOUND and missing_is_empty:
            return {}
        if not response.is_success:
            raise to_error(response)
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            message = f"The Builder Service answered {method} {path} with what is not JSON."
            raise BuilderError(message, retryable=True) from error
        if not isinstance(answer, dict):
            raise BuilderError(f"The Builder Service answered {method} {path} with no object.", retryable=True)
        return answer


def _patient(read_s: float) -> httpx.Timeout:
    return httpx.Timeout(read_s, connect=CONNECT_TIMEOUT_S)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
