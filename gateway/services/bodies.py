"""Bodies as execution logs hold them: JSON text, exact, bounded, and never lost because of what they are."""

import base64
import json

MAX_REQUEST_LOG_BYTES = 64 * 1024
"""Of the JSON text of a request; a row holds 400 KB in all."""
MAX_RESPONSE_LOG_BYTES = 256 * 1024
"""Of the JSON text of a response."""
TEXT_TYPES = ("text/", "application/javascript", "application/xml", "application/x-www-form-urlencoded")


def response_text(body: bytes, content_type: str, *, limit: int, incomplete: bool) -> str | None:
    """What a function answered as JSON text.

    JSON stays as it came, text becomes a string, binary `{base64, contentType}`; what is beyond the limit becomes
    `{truncated, bytes, text}`.
    """
    if not body:
        return None
    if incomplete or len(body) > limit:
        return _truncated(body, limit)
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(body).decode()
        return _bounded(json.dumps({"base64": encoded, "contentType": content_type}), body, limit)
    if is_json(text):
        return text
    if "\0" in text and not media_type.startswith(TEXT_TYPES):
        encoded = base64.b64encode(body).decode()
        return _bounded(json.dumps({"base64": encoded, "contentType": content_type}), body, limit)
    return _bounded(json.dumps(text, ensure_ascii=False), body, limit)


def bounded_text(text: str, limit: int) -> str:
    """JSON text, cut with a marker where it is beyond the limit."""
    return _bounded(text, text.encode(), limit)


def is_json(text: str) -> bool:
    """Whether the text is strict JSON: no NaN, no Infinity."""
    try:
        json.loads(text, parse_constant=_refuse, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return True


def _bounded(text: str, body: bytes, limit: int) -> str:
    return text if len(text.encode()) <= limit else _truncated(body, limit)


def _truncated(body: bytes, limit: int) -> str:
    """The beginning of a body, in less than half of the limit, so that escapes can't take it beyond."""
    beginning = body[: limit // 8].decode(errors="replace")
    return json.dumps({"truncated": True, "bytes": len(body), "text": beginning}, ensure_ascii=False)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
