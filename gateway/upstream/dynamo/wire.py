"""DynamoDB's data plane without the SDK's request and response stack, which takes 0.5 to 4 ms of CPU a call.

The SDK still does what is hard or rare: it finds the endpoint and the credentials and renews them, its errors are
raised, and the control plane (tables, indexes) and S3 are called through it. What is left is a signed POST of
JSON: 0.1 ms. Retries are those of the SDK's standard mode:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

import asyncio
import base64
import json
import os
import random
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from botocore.exceptions import ChecksumError, ClientError

from gateway.telemetry import record_call
from gateway.upstream.aws import MAX_ATTEMPTS, MAX_CONNECTIONS, credentials_of
from gateway.upstream.http import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from gateway.upstream.signing import Signer

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

TARGET = "DynamoDB_20120810."
KEEP_ALIVE_S = 12
"""Idle connections are closed before DynamoDB does; the SDK's own value."""
MAX_BACKOFF_S = 20.0
"""Between two attempts, doubling from 1 s with full jitter, as in the SDK's standard mode."""
RETRY_QUOTA, RETRY_COST, TIMEOUT_COST = 500, 5, 10
"""The quota keeps a broken DynamoDB from getting every request thrice: retries take from it, successes fill it."""
RETRYABLE_STATUSES = frozenset({500, 502, 503, 504})
RETRYABLE_CODES = frozenset(
    {
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "TransactionInProgressException",
        "RequestTimeout",
    }
)
NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Nothing of the request was sent."""


class Wire:
    """Sends operations to DynamoDB and answers its JSON as it is, attribute values typed."""

    def __init__(self, client: "DynamoDBClient", http: aiohttp.ClientSession, *, proxy: str | None) -> None:
        self._region = client.meta.region_name
        self._exceptions: Any = client.exceptions  # its types do not know `from_code`
        self._http = http
        self._proxy = proxy
        self._url = client.meta.endpoint_url
        host = urlsplit(client.meta.endpoint_url).netloc
        self._signer = Signer(service="dynamodb", region=self._region, host=host)
        self._quota = RETRY_QUOTA

    async def call(self, operation: str, request: Mapping[str, Any], *, once: bool = False) -> Any:
        """The answer of an operation such as `GetItem`; `once` repeats only what surely was not done.

        Errors are the SDK's: a ClientError of the operation's own class, NoCredentialsError; and
        aiohttp.ClientError or TimeoutError where nothing answers.
        """
        body = _encode(request)
        spent = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                status, headers, content = await self._send(operation, body)
                if status == 200:
                    answer = _read(_checked(headers, content))
                    self._quota = min(self._quota + (spent or 1), RETRY_QUOTA)
                    return answer
                failure: Exception = self._error(operation, status, headers, content)
                refused = _code_of(failure) in RETRYABLE_CODES
                retryable = refused or (status in RETRYABLE_STATUSES and not once)
            except (aiohttp.ClientError, TimeoutError, ChecksumError) as error:
                failure, retryable = error, not once or isinstance(error, NOT_CONNECTED)
            spent = TIMEOUT_COST if isinstance(failure, TimeoutError) else RETRY_COST
            if not retryable or attempt == MAX_ATTEMPTS or self._quota < spent:
                raise failure
            self._quota -= spent
            await asyncio.sleep(random.uniform(0, min(2 ** (attempt - 1), MAX_BACKOFF_S)))  # noqa: S311  # jitter is no secret
        raise AssertionError("unreachable")

    async def _send(self, operation: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        credentials = await credentials_of(self._region)
        headers = self._signer.sign(credentials, TARGET + operation, body, datetime.now(UTC))
        record_call("dynamodb", operation)
        async with self._http.post(self._url, data=body, headers=headers, proxy=self._proxy) as response:
            return response.status, response.headers, await response.read()

    def _error(self, operation: str, status: int, headers: Mapping[str, str], content: bytes) -> ClientError:
        """The SDK's error of an answer, with the fields that an operation's error brings, such as the reasons."""
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            body = {"message": content.decode(errors="replace")}
        if not isinstance(body, dict):
            body = {"message": str(body)}
        code = str(body.pop("__type", status)).partition(":")[0].rpartition("#")[2]
        message = body.pop("message", None) or body.pop("Message", "")
        metadata = {"HTTPStatusCode": status, "RequestId": headers.get("x-amzn-RequestId", "")}
        response: Any = body | {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
        error: ClientError = self._exceptions.from_code(code)(response, operation)
        return error


@asynccontextmanager
async def open_wire(client: "DynamoDBClient") -> AsyncIterator[Wire]:
    """Open a wire to the endpoint of the SDK's client, which stays the caller's.

    The proxy and the certificates that the SDK would take from the environment are taken here too.
    """
    url = urlsplit(client.meta.endpoint_url)
    proxy = None if proxy_bypass(url.netloc) else getproxies().get(url.scheme)
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ssl=context),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding"),
        auto_decompress=False,  # the checksum is the body's as it was sent
    ) as http:
        yield Wire(client, http, proxy=proxy)


def _encode(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(request, default=_encode_bytes)
    except TypeError:
        # Half a surrogate pair is more than orjson writes; DynamoDB says what it thinks of it.
        return json.dumps(request, default=_encode_bytes).encode()


def _encode_bytes(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} is nothing that DynamoDB takes")


def _checked(headers: Mapping[str, str], content: bytes) -> bytes:
    expected = headers.get("x-amz-crc32")
    if expected is not None and int(expected) != (actual := zlib.crc32(content)):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=str(actual))
    return content


def _read(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:  # some proxy's page
        raise aiohttp.ClientPayloadError("what came is no JSON") from error


def _code_of(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
