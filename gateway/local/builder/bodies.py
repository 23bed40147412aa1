"""The bodies the builder accepts, and FastAPI's answers to those it does not."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse


class InvalidBodyError(Exception):
    """The body is not what the call takes; `errors` are FastAPI's {loc, msg, type}."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


class BuildForm(BaseModel):
    """The fields of /build beside the file."""

    workspace_id: str
    app_name: str | None = None


class BuildAndPushForm(BuildForm):
    """The fields of /build-and-push beside the file; the running version ignores registry_url."""

    username: str = ""
    password: str = ""
    tag: str = "latest"
    registry_url: str | None = None


class DocumentedBuildAndPushForm(BuildAndPushForm):
    """The same as documented: registry_url is required, and used."""

    registry_url: str


class PushBody(BaseModel):
    """The body of /push."""

    registry_url: str
    username: str
    password: str
    app_dir: str
    workspace_id: str
    tag: str = "latest"
    s3_source_path: str | None = None


class ScaffoldBody(BaseModel):
    """The body of /scaffold."""

    image_ref: str
    component: str | None = None
    replicas: int = 1
    output_path: str | None = None


class DeployBody(BaseModel):
    """The body of /deploy."""

    namespace: str
    image_ref: str
    app_name: str | None = None
    function_id: str | None = None
    enable_autoscaling: bool = True
    replicas: int | None = None
    use_spot: bool = True
    service_account: str | None = None
    cpu_limit: str | None = None
    memory_limit: str | None = None
    cpu_request: str | None = None
    memory_request: str | None = None
    custom_tolerations: list[dict[str, Any]] | None = None
    custom_affinity: dict[str, Any] | None = None


Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request, model: type[Body]) -> Body:
    """Read a JSON body as `model`; InvalidBodyError."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise InvalidBodyError(_errors(error)) from error


async def read_form(request: Request, model: type[Body]) -> tuple[str, bytes, Body]:
    """Read a multipart body: the file's name and content, and the other fields as `model`; InvalidBodyError.

    A field that is sent empty counts as not sent: that is FastAPI's rule for forms.
    """
    async with request.form() as form:
        file = form.get("file")
        fields = {name: value for name, value in form.items() if name != "file" and value != ""}
        upload = (file.filename or "", await file.read()) if isinstance(file, UploadFile) else None
    errors = [] if upload else [_missing("file") if file is None else _not_a_file(file)]
    try:
        body = model.model_validate(fields)
    except ValidationError as error:
        raise InvalidBodyError([*errors, *_errors(error)]) from error
    if upload is None:
        raise InvalidBodyError(errors)
    return *upload, body


async def answer_invalid_body(_request: Request, error: Exception) -> JSONResponse:
    """422, whose detail is a list."""
    detail = error.errors if isinstance(error, InvalidBodyError) else []
    return JSONResponse({"detail": detail}, status_code=422)


async def answer_http_error(_request: Request, error: Exception) -> JSONResponse:
    """400, 404 and 500, whose detail is a string."""
    known = error if isinstance(error, HTTPException) else HTTPException(500)
    return JSONResponse({"detail": known.detail}, status_code=known.status_code, headers=known.headers)


def _errors(error: ValidationError) -> list[dict[str, Any]]:
    return [
        {"type": each["type"], "loc": ["body", *each["loc"]], "msg": each["msg"]}
        for each in error.errors(include_url=False, include_context=False)
    ]


def _missing(field: str) -> dict[str, Any]:
    return {"type": "missing", "loc": ["body", field], "msg": "Field required"}


def _not_a_file(value: object) -> dict[str, Any]:
    message = f"Value error, Expected UploadFile, received: {type(value)}"
    return {"type": "value_error", "loc": ["body", "file"], "msg": message}
