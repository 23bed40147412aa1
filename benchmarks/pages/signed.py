"""A thin signed client of DynamoDB, as the hand-written endpoint has it: no retries, given credentials."""

import hashlib
import hmac
import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class SignedClient:
    """Posts operations with Signature Version 4; the signing key is made once a day."""

    def __init__(self, http: aiohttp.ClientSession, url: str, region: str) -> None:
        self.http, self.url, self.region, self.host = http, url, region, urlsplit(url).netloc
        self.key_id, self.secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        self.day, self.key = "", b""

    async def call(self, operation: str, request: dict[str, Any]) -> Any:
        """The answer of an operation."""
        body = orjson.dumps(request)
        target = f"DynamoDB_20120810.{operation}"
        at = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%SZ")
        day = at[:8]
        if day != self.day:
            key = f"AWS4{self.secret}".encode()
            for part in (day, self.region, "dynamodb", "aws4_request"):
                key = _hmac(key, part)
            self.day, self.key = day, key
        scope = f"{day}/{self.region}/dynamodb/aws4_request"
        names = "content-type;host;x-amz-date;x-amz-target"
        canonical = (
            f"POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:{self.host}\nx-amz-date:{at}\n"
            f"x-amz-target:{target}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        )
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self.key, text.encode(), "sha256").hexdigest()
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": at,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}",
        }
        async with self.http.post(self.url, data=body, headers=headers) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())
