"""The data socket's application: functions by the Host header, as the cluster's Services would route them.

Plain ASGI: every layer between would be paid by each call of each function. A caller that disconnects ends the
execution. The gateway reaches this socket as its HTTP proxy, so that the URLs look as in production.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.local.runner import frames
from gateway.local.runner.deployments import Deployments
from gateway.local.runner.function import ImageError
from gateway.local.runner.worker import WorkerDiedError

BODY_LIMIT_BYTES = 64 * 1024 * 1024
"""Bytes of a request's body; the gateway's own limit is far below."""

# RFC 9110, 7.6.1: these are between two ends of a connection, not between caller and function.
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_BODILESS = {204, 205, 304}

Answer = tuple[int, frames.HeaderList, bytes]


def make_data_app(deployments: Deployments) -> ASGIApp:
    """The application of the data socket."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _serve(deployments, scope, receive, send)

    return app


async def _serve(deployments: Deployments, scope: Scope, receive: Receive, send: Send) -> None:
    body = await _read_body(receive)
    if body is None:
        return
    if len(body) > BODY_LIMIT_BYTES:
        await _send(scope, send, _text(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes"))
        return
    answering = asyncio.ensure_future(_answer(deployments, scope, body))
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await _send(scope, send, answering.result())
    finally:
        answering.cancel()
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(answering, leaving, return_exceptions=True)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or what there is of one beyond the limit; None when the caller has gone."""
    pieces, size = [], 0
    while size <= BODY_LIMIT_BYTES:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if not message.get("more_body", False):
            break
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _answer(deployments: Deployments, scope: Scope, body: bytes) -> Answer:
    authority = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    host = authority.rpartition(":")[0] or authority
    deployment = deployments.find(host.lower())
    if deployment is None:
        return _text(503, f"nothing is deployed at {host!r}")
    try:
        head, content = await deployments.call(deployment, _head(scope, authority), body)
    except TimeoutError:
        return _text(504, "the function did not answer in time")
    except WorkerDiedError as error:
        return _text(502, str(error))
    except ImageError as error:
        return _text(502, f"the function can't be started: {error}")
    if not 200 <= head["status"] <= 599:
        return _text(502, f"the function answered with status {head['status']}, which is none of a final response")
    return head["status"], frames.load_headers(head["headers"]), content


def _head(scope: Scope, authority: str) -> frames.Head:
    path = scope["raw_path"] or b"/"
    if scope["query_string"]:
        path += b"?" + scope["query_string"]
    headers = [(name.decode("latin-1"), value) for name, value in scope["headers"] if name not in _HOP_BY_HOP]
    return {
        "method": scope["method"],
        "path": path.decode("latin-1"),
        "authority": authority,
        "headers": frames.dump_headers(headers),
    }


def _text(status: int, text: str) -> Answer:
    return status, [("content-type", b"text/plain; charset=utf-8")], f"{text}\n".encode()


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    """Send an answer; its length is what it is, but a HEAD keeps what the function says of it."""
    status, fields, body = answer
    headers = [(name.lower().encode("latin-1"), value) for name, value in fields]
    headers = [header for header in headers if header[0] not in _HOP_BY_HOP]
    if status in _BODILESS or scope["method"] == "HEAD":
        body = b""
    else:
        headers = [header for header in headers if header[0] != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
