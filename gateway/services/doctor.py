"""What stands between this gateway and its work: every system and permission that it needs, tried out.

A permission is tried by using it, on a row and an object of the doctor's own that are removed again; Kubernetes is
asked for it. Nothing here shows an answer's body or a credential: a finding has the error's own message, which
names system and operation.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from botocore.exceptions import NoCredentialsError

from gateway.errors import GatewayError
from gateway.records.clock import system_clock
from gateway.records.health import FindingRecord, Verdict
from gateway.services.checks import (
    WHEN_NOT_REACHED,
    Check,
    bucket_checks,
    kubernetes_checks,
    metric_checks,
    service_checks,
    table_checks,
)
from gateway.settings import Settings
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.probe import TableProbe
from gateway.upstream.http import open_http_client
from gateway.upstream.kubernetes import Kubernetes, open_kubernetes
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.query_client import open_query_client
from gateway.upstream.s3 import SourceBucket, open_source_bucket

TIMEOUT_S = 10.0
"""Of one check; the SDK's own retries take 6 s where nothing listens."""
MAX_DETAIL_CHARACTERS = 300
"""Of an error; what AWS says of a wrong signature goes on with the signed headers, a session token among them."""
REFUSALS = ("AccessDenied", "UnrecognizedClient", "InvalidClientToken", "ExpiredToken", "InvalidAccessKeyId")
REFUSALS_BY_STATUS = (": 401", ": 403", "status 401", "status 403", "Forbidden")
CREDENTIALS = (
    "give the gateway AWS credentials: a role for its service account (IRSA), "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment"
)
DEFECT = "tell the gateway's maintainers, with this line"
"""What to do where a check itself breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Systems:
    table: TableProbe
    bucket: SourceBucket
    builder: Builder
    loki: Loki
    prometheus: Prometheus
    kubernetes: Kubernetes


class _Outcome(NamedTuple):
    verdict: Verdict
    reachable: bool | None
    allowed: bool | None
    detail: str | None
    advice: str | None


async def examine(settings: Settings) -> list[FindingRecord]:
    """Try everything, each system's checks one after the other and all systems at once; in a fixed order."""
    async with _opened(settings) as systems:
        groups = (
            table_checks(systems.table),
            bucket_checks(systems.bucket),
            service_checks(systems.builder, systems.loki, systems.prometheus),
            metric_checks(systems.prometheus),
            kubernetes_checks(systems.kubernetes, settings.function_namespaces),
        )
        found = await asyncio.gather(*(_try_all(checks) for checks in groups))
    return [finding for findings in found for finding in findings]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Systems]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url))
        bucket = open_source_bucket(
            region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
        )
        yield _Systems(
            table=TableProbe(client, settings.dynamodb_table_name, system_clock),
            bucket=await enter(bucket),
            builder=Builder(await enter(open_http_client("builder", settings.builder_service_url))),
            loki=Loki(await enter(open_query_client("loki", settings.loki_service_url))),
            prometheus=Prometheus(await enter(open_query_client("prometheus", settings.prometheus_service_url))),
            kubernetes=await enter(open_kubernetes(settings.kubernetes_api_url)),
        )


async def _try_all(checks: Sequence[Check]) -> list[FindingRecord]:
    return [await _try(check) for check in checks]


async def _try(check: Check) -> FindingRecord:
    started = time.perf_counter()
    outcome = await _outcome(check)
    latency_ms = (time.perf_counter() - started) * 1000
    return FindingRecord(
        system=check.system,
        what=check.what,
        verdict=outcome.verdict,
        reachable=outcome.reachable,
        allowed=outcome.allowed,
        latency_ms=round(latency_ms, 1),
        detail=outcome.detail,
        advice=outcome.advice,
    )


async def _outcome(check: Check) -> _Outcome:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            doubt = await check.attempt()
    except TimeoutError:
        detail = f"no answer within {TIMEOUT_S:g} s"
        return _Outcome(Verdict.WRONG, False, None, detail, WHEN_NOT_REACHED[check.system])
    except GatewayError as error:
        return _failure(check, error)
    except Exception as error:  # one check that breaks must not hide what the others found
        detail = f"the check itself broke: {error!r}"[:MAX_DETAIL_CHARACTERS]
        return _Outcome(Verdict.WRONG, None, None, detail, DEFECT)
    if doubt is None:
        return _Outcome(Verdict.FINE, True, True, None, None)
    return _Outcome(Verdict.UNSURE, doubt.is_reachable, None, doubt.detail, check.advice)


def _failure(check: Check, error: GatewayError) -> _Outcome:
    detail = _with_cause(error).partition("The Canonical String")[0][:MAX_DETAIL_CHARACTERS]
    reachable = "did not answer" not in detail
    refused = any(word in detail for word in (*REFUSALS, *REFUSALS_BY_STATUS))
    advice = check.advice
    if isinstance(error.__cause__, NoCredentialsError):
        advice = CREDENTIALS
    elif not reachable:
        advice = WHEN_NOT_REACHED[check.system]
    return _Outcome(Verdict.WRONG, reachable, False if reachable and refused else None, detail, advice)


def _with_cause(error: GatewayError) -> str:
    """The error's message, and what it comes from where the message does not say that itself."""
    cause = str(error.__cause__ or "").strip()
    if not cause or cause in error.message:
        return error.message
    return f"{error.message.removesuffix('.')} ({cause.removesuffix('.')})"
