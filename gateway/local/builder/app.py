"""The Builder Service's HTTP: the routes of its contract, and the lifespan that opens what stands behind them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.local.builder.bodies import (
    BuildAndPushForm,
    BuildForm,
    DeployBody,
    DocumentedBuildAndPushForm,
    InvalidBodyError,
    PushBody,
    ScaffoldBody,
    answer_http_error,
    answer_invalid_body,
    read_form,
    read_json,
)
from gateway.local.builder.bucket import Bucket
from gateway.local.builder.builds import Builds, Job
from gateway.local.builder.config import BuilderConfig, Dialect
from gateway.local.builder.deploy import Deployer
from gateway.local.builder.dialect import listed_task_body, task_body
from gateway.local.builder.faults import FaultyAnswers
from gateway.local.builder.scaffold import scaffold
from gateway.local.builder.source import file_name, strip_name
from gateway.local.builder.tasks import Phase, Tasks
from gateway.local.builder.toolchain import Toolchain
from gateway.upstream.aws import open_dynamodb_client, open_s3_client
from gateway.upstream.http import open_http_client


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes work with, for the life of the process."""

    config: BuilderConfig
    tasks: Tasks
    bucket: Bucket
    builds: Builds
    deployer: Deployer


def create_app(config: BuilderConfig) -> Starlette:
    """Make the stand-in; its lifespan opens the clients and ends the builds under way."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with open_service(config) as service:
            yield {"service": service}

    return Starlette(
        routes=[
            Route("/api/v1/build", build, methods=["POST"]),
            Route("/api/v1/build-and-push", build_and_push, methods=["POST"]),
            Route("/api/v1/push", push, methods=["POST"]),
            Route("/api/v1/scaffold", scaffold_image, methods=["POST"]),
            Route("/api/v1/deploy", deploy, methods=["POST"]),
            Route("/api/v1/tasks/{task_id}", get_task),
            Route("/api/v1/workspaces/{workspace_id}/tasks", list_tasks),
            Route("/health", health),
        ],
        lifespan=lifespan,
        middleware=[Middleware(FaultyAnswers, faults=config.faults)],
        exception_handlers={InvalidBodyError: answer_invalid_body, HTTPException: answer_http_error},
    )


@asynccontextmanager
async def open_service(config: BuilderConfig) -> AsyncIterator[Service]:
    """Open the clients and prepare the tools; on leaving, end the builds under way first."""
    toolchain = Toolchain(config)
    await asyncio.to_thread(toolchain.prepare)
    async with AsyncExitStack() as stack:
        aws = (config.aws_region, config.aws_endpoint_url)
        dynamodb = await stack.enter_async_context(open_dynamodb_client(*aws))
        s3 = await stack.enter_async_context(open_s3_client(*aws))
        kubernetes = await stack.enter_async_context(open_http_client("kubernetes", config.kubernetes_url))
        tasks = Tasks(dynamodb, config.table, config.bucket)
        bucket = Bucket(s3, config.bucket)
        builds = Builds(config, tasks, bucket, toolchain)
        await stack.enter_async_context(builds.running())
        yield Service(config, tasks, bucket, builds, Deployer(kubernetes, config.namespaces))


def _service(request: Request) -> Service:
    return cast("Service", request.state.service)


async def build(request: Request) -> JSONResponse:
    """POST /api/v1/build."""
    filename, content, form = await read_form(request, BuildForm)
    return await _accept_upload(_service(request), filename, content, form, None)


async def build_and_push(request: Request) -> JSONResponse:
    """POST /api/v1/build-and-push."""
    service = _service(request)
    documented = service.config.dialect is Dialect.DOCUMENTED
    model = DocumentedBuildAndPushForm if documented else BuildAndPushForm
    filename, content, form = await read_form(request, model)
    registry_url = form.registry_url if documented else service.config.registry_url
    return await _accept_upload(service, filename, content, form, f"{registry_url}:{form.tag}")


async def _accept_upload(
    service: Service, filename: str, content: bytes, form: BuildForm, image: str | None
) -> JSONResponse:
    """Store the source, make the task and begin; whatever is wrong with the file is for the task to say."""
    name = file_name(filename)
    task_id = str(uuid.uuid4())
    source_path = await service.bucket.put(f"build-sources/{form.workspace_id}/{task_id}/{name}", content)
    app_name = form.app_name or strip_name(Path(name).stem)
    task = await service.tasks.create(task_id, form.workspace_id, app_name, name)
    service.builds.start(Job(task=task, source_path=source_path, image=image))
    return _accepted(
        task_id, "Build task created" if image is None else "Build and push task created", source_path
    )


async def push(request: Request) -> JSONResponse:
    """POST /api/v1/push: from `app_dir` where it exists ("" is the working directory), else from S3."""
    service = _service(request)
    body = await read_json(request, PushBody)
    folder = Path(body.app_dir)
    source_path = None if await asyncio.to_thread(folder.exists) else body.s3_source_path
    name = file_name(source_path or body.app_dir)
    task_id = str(uuid.uuid4())
    task = await service.tasks.create(task_id, body.workspace_id, strip_name(Path(name).stem), name)
    image = f"{body.registry_url}:{body.tag}"
    service.builds.start(Job(task=task, source_path=source_path, folder=folder, image=image))
    return _accepted(task_id, "Push task created", None)


def _accepted(task_id: str, message: str, source_path: str | None) -> JSONResponse:
    body = {"task_id": task_id, "status": "pending", "message": message, "source_s3_path": source_path}
    return JSONResponse(body, status_code=202)


async def scaffold_image(request: Request) -> JSONResponse:
    """POST /api/v1/scaffold."""
    body = await read_json(request, ScaffoldBody)
    return JSONResponse(await asyncio.to_thread(scaffold, body, _service(request).config.data_dir / "scaffold"))


async def deploy(request: Request) -> JSONResponse:
    """POST /api/v1/deploy."""
    return JSONResponse(await _service(request).deployer.deploy(await read_json(request, DeployBody)))


async def get_task(request: Request) -> JSONResponse:
    """GET /api/v1/tasks/{id}?workspace_id=."""
    service = _service(request)
    task_id = request.path_params["task_id"]
    faults = service.config.faults
    task = await service.tasks.get(task_id, request.query_params.get("workspace_id"))
    if task is None or faults.forgetful:
        raise HTTPException(404, f"Task not found: {task_id}")
    return JSONResponse(
        task_body(replace(task, status=Phase.BUILDING) if faults.stale else task, service.config.dialect)
    )


async def list_tasks(request: Request) -> JSONResponse:
    """GET /api/v1/workspaces/{ws}/tasks."""
    service = _service(request)
    workspace_id = request.path_params["workspace_id"]
    tasks = [listed_task_body(task, service.config.dialect) for task in await service.tasks.list(workspace_id)]
    return JSONResponse({"workspace_id": workspace_id, "tasks": tasks, "count": len(tasks)})


async def health(_request: Request) -> JSONResponse:
    """GET /health."""
    return JSONResponse({"status": "healthy"})
