"""Signatures: the same as the SDK's own."""

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SdkCredentials

from gateway.upstream.signing import Credentials, Signer

BODY = '{"TableName":"täble","Key":{"PK":{"S":"WS#1"}}}'.encode()
TARGET = "DynamoDB_20120810.GetItem"
HOST = "dynamodb.ap-northeast-2.amazonaws.com"


def sdk_authorization(credentials: Credentials, headers: dict[str, str]) -> str:
    """What botocore's signer makes of a request with these headers."""
    request = AWSRequest("POST", f"https://{HOST}/", {**headers, "host": HOST}, BODY)
    del request.headers["authorization"]
    request.context["timestamp"] = headers["x-amz-date"]
    given = SdkCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    auth = SigV4Auth(given, "dynamodb", "ap-northeast-2")
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    scope = auth.scope(request)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"


@pytest.mark.parametrize("token", [None, "a-session-token"])
def test_signature_is_the_sdks(token: str | None) -> None:
    """Day after day, with and without a session's token, and after the secret was renewed."""
    signer = Signer(service="dynamodb", region="ap-northeast-2", host=HOST)
    for secret in ("one", "two"):
        credentials = Credentials(access_key="AKID", secret_key=secret, token=token)
        for day in (1, 2, 2):
            headers = signer.sign(credentials, TARGET, BODY, datetime(2026, 3, day, 23, 59, 58, tzinfo=UTC))
            assert headers["x-amz-date"] == f"2026030{day}T235958Z"
            assert headers.get("x-amz-security-token") == token
            assert headers["authorization"] == sdk_authorization(credentials, headers)
