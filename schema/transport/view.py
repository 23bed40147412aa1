"""The GraphQL endpoint as an ASGI application: https://graphql.github.io/graphql-over-http/draft/

Every answer of it is JSON with a code on each error, those of the HTTP layer included.
"""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from gateway.errors import OperationTimeoutError
from gateway.records.origins import AllowedOrigins
from schema.context import Resources
from schema.engine import GatewaySchema
from schema.errors import MASKED_MESSAGE, log_unexpected, masked_extensions
from schema.transport.broadcasts import Reader
from schema.transport.handshakes import serve_socket
from schema.transport.negotiation import Accepted, negotiate
from schema.transport.operations import Operations, Shared
from schema.transport.refusals import RequestError, refuse
from schema.transport.requests import (
    BodyLimit,
    content_type_of,
    query_parameters,
    read_json,
    request_data,
)
from schema.transport.results import error_response, json_of, result_response
from schema.transport.streams import EventStream, MultipartStream, StreamResponse
from schema.transport.uploads import UploadRequest, UploadTurns, read_multipart

Explorer = Callable[[Request], Awaitable[Response] | Response]

TOO_LARGE = 413


class GraphQLView:
    """The endpoint.

    `max_body_bytes` bounds JSON bodies, `max_upload_bytes` the files of a request; multipart bodies may have both
    together, and wait for one of `upload_turns`.
    `allowed_origins` may open sockets. When `draining` is set, event streams end. `explorer` answers
    browsers that navigate here.
    """

    def __init__(
        self,
        schema: GatewaySchema,
        resources: Resources,
        *,
        max_body_bytes: int,
        max_upload_bytes: int,
        upload_turns: UploadTurns,
        allowed_origins: AllowedOrigins,
        draining: asyncio.Event,
        explorer: Explorer | None = None,
    ) -> None:
        self.operations = Operations(schema, resources)
        self.allowed_origins = allowed_origins
        self.max_body_bytes = max_body_bytes
        self.max_upload_bytes = max_upload_bytes
        self.upload_turns = upload_turns
        self.draining = draining
        self.explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a socket."""
        if scope["type"] == "websocket":
            try:
                await serve_socket(self.operations, self.allowed_origins, scope, receive, send)
            except asyncio.CancelledError:
                if not self.draining.is_set():
                    raise
                # The drain's time was over while something was sent to a client that does not read.
            return
        limit = BodyLimit(receive, self.max_body_bytes)
        request = UploadRequest(scope, limit)
        try:
            response = await self._answer(request, limit)
            if response is not None and response.status_code == TOO_LARGE:
                await refuse(response, scope, receive, send)
            elif response is not None:
                await response(scope, receive, send)
        except asyncio.CancelledError:
            if not self.draining.is_set():
                raise
            # The drain's time was over in the middle of a stream. It is cut; cancellation has done its work.
        finally:
            await request.close()  # the files of an upload, which a stream reads until its end

    async def _answer(self, request: UploadRequest, limit: BodyLimit) -> Response | None:
        """Make the response to a request, whatever happens; None when nobody waits for it any more."""
        accepted = negotiate(request.headers.get("accept", ""))
        try:
            return await self._respond(request, limit, accepted)
        except RequestError as error:
            extensions = {"code": error.code, "retryable": error.retryable}
            return error_response(accepted, error.status, error.reason, extensions, error.headers)
        except ClientDisconnect:
            return None
        except asyncio.CancelledError:
            if not self.draining.is_set():
                raise
            # The drain's time is over. The task ends with this answer, so that the cancellation need not go on.
            extensions = {"code": OperationTimeoutError.code, "retryable": False}
            return error_response(accepted, 503, "The gateway stopped before the answer was there.", extensions)
        except Exception as error:
            error_id = log_unexpected(error, f"{request.method} {request.url.path}")
            return error_response(accepted, 500, MASKED_MESSAGE, masked_extensions(error_id))

    async def _respond(self, request: UploadRequest, limit: BodyLimit, accepted: Accepted) -> Response:
        if request.method not in ("GET", "HEAD", "POST"):
            raise RequestError(405, "GraphQL is served over GET and POST.", headers={"allow": "GET, HEAD, POST"})
        navigates = request.method != "POST" and accepted.prefers_html
        if navigates and self.explorer is not None:
            page = self.explorer(request)
            return await page if isawaitable(page) else page
        if not accepted.is_served:
            raise RequestError(406, "Accept application/graphql-response+json or application/json.")
        data = await self._read(request, limit)
        kind = self.operations.kind(data)
        if request.method != "POST" and kind is OperationType.MUTATION:
            raise RequestError(405, "Mutations are not served over GET.", headers={"allow": "POST"})
        if kind is OperationType.SUBSCRIPTION and accepted.stream is None:
            raise RequestError(
                400,
                "Subscriptions are served over WebSocket (graphql-transport-ws), "
                "or as an event stream: accept text/event-stream.",
            )
        stream = accepted.stream if kind is OperationType.SUBSCRIPTION else accepted.preferred_stream
        if stream == "sse":
            return await self._stream(data, kind, EventStream())
        if stream == "multipart-subscription" and kind is OperationType.SUBSCRIPTION:
            return await self._stream(data, kind, MultipartStream())
        return result_response(accepted, await self._execute(data))

    async def _read(self, request: UploadRequest, limit: BodyLimit) -> GraphQLRequestData:
        if request.method != "POST":
            return request_data(query_parameters(request.query_params))
        media_type = content_type_of(request)
        if media_type == "multipart/form-data":
            limit.allow_files(self.max_upload_bytes)
        limit.check_length(request.headers.get("content-length"))
        if media_type == "multipart/form-data":
            operations = await read_multipart(
                request,
                self.upload_turns,
                max_file_bytes=self.max_upload_bytes,
                max_field_bytes=self.max_body_bytes,
            )
            return request_data(operations)
        if media_type != "application/json":
            raise RequestError(415, "Send application/json in UTF-8, or multipart/form-data for uploads.")
        return request_data(await read_json(request))

    async def _execute(self, data: GraphQLRequestData) -> ExecutionResult:
        try:
            return await self.operations.execute(data)
        except CannotGetOperationTypeError as error:
            raise RequestError(400, error.as_http_error_reason()) from error

    async def _stream(
        self, data: GraphQLRequestData, kind: OperationType | None, transport: EventStream | MultipartStream
    ) -> Response:
        started = await self.operations.start(data)
        results = Reader(started.seen).read(started.join) if isinstance(started, Shared) else started
        # A query or mutation under way is finished; only what would go on is cut.
        draining = self.draining if kind is OperationType.SUBSCRIPTION else None
        return StreamResponse(results, transport, format_result=json_of, draining=draining)
