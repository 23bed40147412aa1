"""Conditional requests: whether a client already has what it asks for (RFC 9110, 13.1.2)."""

import hashlib

from starlette.requests import Request


def etag_of(body: bytes) -> str:
    """A strong validator: other bytes have another one."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this one, so that 304 is the answer."""
    tags = (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))
    return any(tag in {etag, "*"} for tag in tags)
