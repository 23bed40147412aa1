"""The doctor's findings with systems that answer, refuse, and have nothing to show."""

import json
from typing import Any

import boto3
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.records.health import FindingRecord, Verdict
from gateway.services.doctor import examine
from gateway.services.findings import as_json, as_table
from gateway.settings import Settings
from tests.gateway import NOBODY
from tests.observability import serving
from tests.stores import prepared_settings

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
COUNTED = {"kube_pod_labels": 0, "container_cpu_usage_seconds_total": 7, "container_memory_working_set_bytes": 7}


def status(code: int, message: str) -> JSONResponse:
    """A Kubernetes Status."""
    return JSONResponse({"kind": "Status", "message": message, "code": code}, code)


async def review(request: Request) -> JSONResponse:
    """All of SpinApps is allowed and nothing of autoscalers; one namespace's answer is none."""
    asked = (await request.json())["spec"]["resourceAttributes"]
    assert (asked["resource"], asked["verb"]) in {
        ("spinapps", "get"),
        ("spinapps", "delete"),
        ("horizontalpodautoscalers", "delete"),
    }
    if asked["namespace"] == "broken":
        return JSONResponse({"status": {}}, 201)
    return JSONResponse({"status": {"allowed": asked["resource"] == "spinapps"}}, 201)


async def namespace(request: Request) -> JSONResponse:
    """One is there, one is not, the others are not shown."""
    name = request.path_params["name"]
    if name == "there":
        return JSONResponse({"kind": "Namespace"})
    return (
        status(404, f'namespaces "{name}" not found') if name == "gone" else status(403, "namespaces is forbidden")
    )


async def query(request: Request) -> JSONResponse:
    """A Prometheus with a few series."""
    promql = str((await request.form())["query"])
    counted = next((number for name, number in COUNTED.items() if name in promql), 1)
    result = [{"metric": {}, "value": [0, str(counted)]}] if counted else []
    return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": result}})


async def fine(_: Request) -> JSONResponse:
    """What the builder and Loki answer."""
    return JSONResponse({"status": "healthy"})


SYSTEMS = Starlette(
    routes=[
        Route(REVIEWS, review, methods=["POST"]),
        Route("/api/v1/namespaces/{name}", namespace),
        Route("/api/v1/query", query, methods=["POST"]),
        Route("/health", fine),
        Route("/loki/api/v1/labels", fine),
    ]
)


async def findings(settings: Settings, **changes: Any) -> dict[str, FindingRecord]:
    """What the doctor finds with all systems there, by what it looked at."""
    async with serving(SYSTEMS) as url:
        urls = {f"{system}_service_url": url for system in ("builder", "loki", "prometheus")}
        given = settings.model_copy(update={"kubernetes_api_url": url, **urls, **changes})
        found = await examine(given)
    return {f"{finding.system}: {finding.what}": finding for finding in found}


async def test_everything_is_looked_at(aws_server: str) -> None:
    """Each system and permission once; series that are missing may be missing rightly."""
    settings = await prepared_settings(aws_server)
    found = await findings(settings, function_namespaces=("there",))
    assert {name: finding.verdict for name, finding in found.items()} == {
        "dynamodb: table with index GSI1": Verdict.FINE,
        "dynamodb: execution logs expire": Verdict.FINE,
        "dynamodb: read rows": Verdict.FINE,
        "dynamodb: query GSI1": Verdict.FINE,
        "dynamodb: write and delete a row": Verdict.FINE,
        "s3: bucket": Verdict.FINE,
        "s3: write, read and delete an object": Verdict.FINE,
        "builder: health": Verdict.FINE,
        "loki: labels": Verdict.FINE,
        "prometheus: query": Verdict.FINE,
        "prometheus: container_cpu_usage_seconds_total": Verdict.FINE,
        "prometheus: container_memory_working_set_bytes": Verdict.FINE,
        "prometheus: kube_pod_labels with function_id": Verdict.UNSURE,
        "kubernetes: namespace there": Verdict.FINE,
        "kubernetes: get spinapps in there": Verdict.FINE,
        "kubernetes: delete spinapps in there": Verdict.FINE,
        "kubernetes: delete horizontalpodautoscalers in there": Verdict.WRONG,
    }
    refused = found["kubernetes: delete horizontalpodautoscalers in there"]
    assert (refused.reachable, refused.allowed) == (True, False)
    assert refused.advice == (
        "give the service account a Role in there with delete on horizontalpodautoscalers.autoscaling"
    )


async def test_nothing_is_left_behind(aws_server: str) -> None:
    """The row and the object that it tried with are gone."""
    settings = await prepared_settings(aws_server)
    await findings(settings)
    dynamodb = boto3.client("dynamodb", endpoint_url=settings.dynamodb_endpoint_url)
    s3 = boto3.client("s3", endpoint_url=aws_server)
    assert dynamodb.scan(TableName=settings.dynamodb_table_name)["Count"] == 0
    assert s3.list_objects_v2(Bucket=settings.s3_bucket_name)["KeyCount"] == 0


async def test_namespaces_that_are_missing_or_hidden(aws_server: str) -> None:
    """A missing one is wrong, one that may not be read is for a person to judge."""
    settings = await prepared_settings(aws_server)
    found = await findings(settings, function_namespaces=("gone", "hidden"))
    assert found["kubernetes: namespace gone"].verdict is Verdict.WRONG
    assert found["kubernetes: namespace gone"].detail == "There is no namespace gone."
    assert found["kubernetes: namespace hidden"].verdict is Verdict.UNSURE


async def test_check_that_breaks(aws_server: str) -> None:
    """It is a line like the others, and hides none of them."""
    settings = await prepared_settings(aws_server)
    found = await findings(settings, function_namespaces=("broken", "there"))
    broken = found["kubernetes: get spinapps in broken"]
    assert (broken.verdict, broken.reachable, broken.allowed) == (Verdict.WRONG, None, None)
    assert broken.detail == "the check itself broke: KeyError('allowed')"
    assert broken.advice == "tell the gateway's maintainers, with this line"
    assert found["kubernetes: get spinapps in there"].verdict is Verdict.FINE


async def test_no_kubernetes(aws_server: str) -> None:
    """Outside a cluster there is none to reach, and whether that is right is for a person to judge."""
    found = await findings(await prepared_settings(aws_server), kubernetes_api_url=None)
    (api,) = [finding for finding in found.values() if finding.system == "kubernetes"]
    assert (api.verdict, api.reachable, api.allowed) == (Verdict.UNSURE, False, None)


async def test_system_that_does_not_answer(aws_server: str) -> None:
    """It is not reachable, and nothing is known about rights."""
    settings = await prepared_settings(aws_server)
    found = await findings(settings, loki_service_url=NOBODY)
    loki = found["loki: labels"]
    assert (loki.verdict, loki.reachable, loki.allowed) == (Verdict.WRONG, False, None)
    assert (loki.detail or "").count("Cannot connect") == 1
    assert loki.advice == "see that it runs and that LOKI_SERVICE_URL is its address"
    assert found["builder: health"].verdict is Verdict.FINE


async def test_prometheus_that_does_not_answer(aws_server: str) -> None:
    """Scraping is a matter only where Prometheus answers: each check says where it is looked for."""
    settings = await prepared_settings(aws_server)
    found = await findings(settings, prometheus_service_url=NOBODY)
    advice = [finding.advice for finding in found.values() if finding.system == "prometheus"]
    assert advice == ["see that it runs and that PROMETHEUS_SERVICE_URL is its address"] * 4


async def test_builder_that_does_not_answer(aws_server: str) -> None:
    """The cause is in the message already, and is not said again."""
    settings = await prepared_settings(aws_server)
    builder = (await findings(settings, builder_service_url=NOBODY))["builder: health"]
    assert builder.detail == "The Builder Service did not answer GET /health: All connection attempts failed"


async def test_dynamodb_that_does_not_answer(aws_server: str) -> None:
    """What to do is about its address, not the table; the cause follows a sentence without its full stop."""
    settings = await prepared_settings(aws_server)
    index = (await findings(settings, aws_endpoint_url_dynamodb=NOBODY))["dynamodb: table with index GSI1"]
    stated = f"DynamoDB did not answer DescribeTable on {settings.dynamodb_table_name}"
    assert (index.detail or "").startswith(f"{stated} (Could not connect to the endpoint URL")
    assert index.advice == (
        "see that AWS_REGION is right, that AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_DYNAMODB is its address "
        "where set, and that the network lets calls out"
    )


async def test_bucket_that_is_missing(aws_server: str) -> None:
    """S3 answers, and says so."""
    settings = await prepared_settings(aws_server)
    bucket = (await findings(settings, s3_bucket_name="nothing-here"))["s3: bucket"]
    assert (bucket.verdict, bucket.reachable) == (Verdict.WRONG, True)
    assert "S3_BUCKET_NAME" in (bucket.advice or "")


def test_findings_as_text_and_json() -> None:
    """The table's last column says what to do; JSON has the same."""
    finding = FindingRecord(
        system="s3",
        what="bucket",
        verdict=Verdict.WRONG,
        reachable=True,
        allowed=False,
        latency_ms=12.34,
        detail="S3 refused\nHeadBucket: AccessDenied.",
        advice="allow it",
    )
    assert as_table([finding]).splitlines()[1] == (
        "WRONG  s3: bucket  yes        NO       12 ms    S3 refused HeadBucket: AccessDenied: allow it"
    )
    (entry,) = json.loads(as_json([finding]))
    assert (entry["verdict"], entry["allowed"], entry["advice"]) == ("WRONG", False, "allow it")
