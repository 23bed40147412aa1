"""The bucket where S3 refuses within an answer, or an answer breaks off; the rest is seen in tests/schema."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import S3Error
from gateway.upstream.s3 import SourceBucket, open_source_bucket
from tests.aws import REGION
from tests.observability import serving

pytestmark = pytest.mark.usefixtures("aws_environment")

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
LISTED = f"""<ListBucketResult {XMLNS}><IsTruncated>true</IsTruncated>
<Contents><Key>ws-00000001/a.py</Key></Contents><Contents><Key>ws-00000001/b.py</Key></Contents>
</ListBucketResult>"""


def refusal(code: str) -> str:
    """How DeleteObjects says that a key was not deleted."""
    error = f"<Error><Key>ws-00000001/b.py</Key><Code>{code}</Code><Message>by arn:aws:iam::1</Message></Error>"
    return f"<DeleteResult {XMLNS}>{error}</DeleteResult>"


@asynccontextmanager
async def bucket_that_says(*answers: Response) -> AsyncIterator[tuple[SourceBucket, list[str]]]:
    """A bucket of a server that gives these answers, one after the other, and what it was asked for."""
    left, asked = list(answers), list[str]()

    async def answer(request: Request) -> Response:
        asked.append(request.method)
        return left.pop(0)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    async with serving(app) as url, open_source_bucket(region=REGION, endpoint_url=url, name="bucket") as bucket:
        yield bucket, asked


@pytest.mark.parametrize(("code", "retryable"), [("AccessDenied", False), ("InternalError", True)])
async def test_delete_when_a_key_is_refused(code: str, retryable: bool) -> None:
    """The answer is 200 all the same: the error names key and code, and the page is not listed for ever."""
    async with bucket_that_says(Response(LISTED), Response(refusal(code))) as (bucket, asked):
        with pytest.raises(S3Error) as raised:
            await bucket.delete_sources("ws-00000001")
    assert raised.value.message == f"S3 refused DeleteObjects on ws-00000001/b.py: {code}"
    assert (raised.value.retryable, raised.value.details) == (retryable, {"awsCode": code})
    assert asked == ["GET", "POST"]


async def test_read_when_the_answer_breaks_off() -> None:
    """A source and an upload whose connection ends in the middle are S3_ERRORs to try again."""

    def cut() -> Response:
        return Response(b"print(", headers={"content-length": "500"})

    async with bucket_that_says(cut(), cut()) as (bucket, _):
        with pytest.raises(S3Error, match=r"^S3 did not answer GetObject on ws-1/fn-1\.py\.$") as source:
            await bucket.read_source("ws-1", "fn-1")
        with tempfile.TemporaryFile() as file, pytest.raises(S3Error) as upload:
            await bucket.read_upload("s3://bucket/build-sources/ws-1/b/app.zip", file)
    assert (source.value.retryable, upload.value.retryable) == (True, True)
