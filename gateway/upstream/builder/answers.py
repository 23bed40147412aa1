"""The Builder Service's answers, read: both its dialects, its errors in words, its tasks."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from gateway.errors import BuilderBusyError, BuilderError
from gateway.records.builder import AcceptedTask, BuilderTask
from gateway.records.builds import parse_build_status

MAX_ERROR_CHARACTERS = 2000
"""Of an HTTP error's text: a crash may answer a page of it."""
MAX_PLACE_CHARACTERS = 2048
"""Of an S3 address, whose key may have 1,024 bytes, or an image."""
TASK_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""A task's id goes into a path and a key."""
BUSY = frozenset({429, 503})
"""Statuses of a builder that takes nothing now."""
TRANSIENT = BUSY | {502, 504}
"""Statuses of a builder that may answer later; its 500 is its word for values that it does not like."""


def to_error(response: httpx.Response) -> BuilderError:
    """Read what is no success."""
    if response.status_code in BUSY:
        return BuilderBusyError(readable(response))
    return BuilderError(readable(response), retryable=response.status_code in TRANSIENT)


def readable(response: httpx.Response) -> str:
    """An error's words: `detail` is a list of faults (422) or a text; a crash is plain text."""
    try:
        detail = orjson.loads(response.content)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        detail = response.content.decode(errors="replace").strip()
    if isinstance(detail, list):
        detail = "; ".join(_fault(fault) for fault in detail)
    words = str(detail or "")[:MAX_ERROR_CHARACTERS] or response.reason_phrase
    return f"The Builder Service answered {response.status_code}: {words}"


def _fault(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    loc = fault.get("loc")
    parts = [str(part) for part in loc] if isinstance(loc, list) else []
    place = ".".join(part for part in parts if part not in {"body", "query", "path"})
    return f"{place}: {fault.get('msg')}" if place else str(fault.get("msg"))


def to_accepted(answer: Mapping[str, Any]) -> AcceptedTask:
    """Read a 202; BuilderError where it names no task."""
    task_id = text(answer, "task_id")
    if task_id is None or not TASK_ID.fullmatch(task_id):
        raise BuilderError("The Builder Service accepted the build without naming its task.", retryable=True)
    return AcceptedTask(task_id=task_id, source_path=text(answer, "source_s3_path"))


def to_task(answer: Mapping[str, Any]) -> BuilderTask:
    """Read a task; BuilderError where its status means nothing."""
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
        error=text(answer, "error"),
        app_name=text(answer, "app_name"),
        created_at=_time(answer, "created_at"),
    )


def _time(answer: Mapping[str, Any], name: str) -> datetime | None:
    """A time in ISO 8601; without an offset it is UTC."""
    try:
        time = datetime.fromisoformat(text(answer, name) or "")
    except ValueError:
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _place(answer: Mapping[str, Any], name: str) -> str | None:
    """An address or image; what is too long for one would make a row that can't be stored."""
    place = text(answer, name)
    return place if place is not None and len(place) <= MAX_PLACE_CHARACTERS else None


def text(answer: Mapping[str, Any], name: str) -> str | None:
    """A text that is not empty; whatever else stands there is no answer."""
    value = answer.get(name)
    return value if isinstance(value, str) and value else None
