"""The mini Kubernetes API and the metrics."""

import asyncio
from pathlib import Path

import pytest

from gateway.local.registry import PYTHON_MEDIA_TYPE, WASM_MEDIA_TYPE
from gateway.local.runner.spinapp import InvalidManifestError, parse_quantity
from tests.local.runner.serving import COMPONENT_IMAGE, SPINAPPS, Served, source_tar, until

HPAS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
ANSWER_WITH = """
from spin_sdk.http import IncomingHandler as Base, Request, Response
import time
class IncomingHandler(Base):
    def handle_request(self, request: Request) -> Response:
        time.sleep(float(request.uri.partition("?")[2] or 0))
        return Response(200, {{}}, {!r})
"""


async def test_applied_spinapp_is_ready_and_can_be_read(runner: Served) -> None:
    """PATCH answers the object with its ready replicas, GET the same."""
    applied = await runner.apply("two", COMPONENT_IMAGE, replicas=2)
    assert applied.status_code == 201
    assert applied.json()["kind"] == "SpinApp"
    assert applied.json()["metadata"]["name"] == "two"
    assert applied.json()["spec"]["image"] == COMPONENT_IMAGE
    assert applied.json()["status"]["readyReplicas"] == 2
    assert (await runner.control.get(f"{SPINAPPS}/two")).json() == applied.json()
    assert (await runner.apply("two", COMPONENT_IMAGE, replicas=2)).status_code == 200


async def test_deleted_spinapp_is_not_served(runner: Served) -> None:
    """DELETE succeeds once, then there is nothing at its host; a second one is Kubernetes' 404."""
    deleted = await runner.control.delete(f"{SPINAPPS}/hello")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "Success")
    assert (await runner.call("hello")).status_code == 503
    again = await runner.control.delete(f"{SPINAPPS}/hello")
    assert again.status_code == 404
    assert again.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'spinapps.core.spinkube.dev "hello" not found',
        "reason": "NotFound",
        "details": {"name": "hello", "kind": "spinapps", "group": "core.spinkube.dev"},
        "code": 404,
    }


async def test_unknown_path_is_404_as_text(runner: Served) -> None:
    """As Kubernetes answers where a resource is not defined."""
    answer = await runner.control.get("/apis/other.example/v1/namespaces/default/things/one")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_unknown_namespace_is_404(runner: Served) -> None:
    """Kubernetes' words for it."""
    answer = await runner.control.patch(f"{SPINAPPS}/hello".replace("default", "nowhere"), content=b"{}")
    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "nowhere" not found')


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"image": ""}, "spec.image"),
        ({"replicas": -1}, "spec.replicas"),
        ({"resources": {"limits": {"memory": "much"}}}, "spec.resources.limits.memory"),
        ({"image": "registry.local/ws-test/app:none"}, "registry.local/ws-test/app:none: not found"),
        ({"image": "example.com/app:one"}, "is not on registry.local"),
    ],
)
async def test_invalid_spinapp_is_refused_and_the_old_one_serves(
    runner: Served, spec: dict[str, object], word: str
) -> None:
    """422 with the reason; what was deployed stays as it is."""
    answer = await runner.apply("hello", **{"image": COMPONENT_IMAGE, **spec})  # type: ignore[arg-type] # one is wrong
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
    assert word in answer.json()["message"]
    assert (await runner.call("hello")).text == "hello"
    assert (await runner.control.get(f"{SPINAPPS}/hello")).json()["metadata"]["generation"] == 1


async def test_component_is_compiled_where_the_build_has_not(tmp_path: Path, python_runner: Served) -> None:
    """One that can be compiled but serves no HTTP is refused for that; one that is none, for that."""
    for text, reason in (
        ("(component)", "the component does not export wasi:http/incoming-handler@0.2.0"),
        ("(module", "expected `)`"),
    ):
        (tmp_path / "app.wasm").write_text(text)
        image = python_runner.write_image("text", tmp_path / "app.wasm", WASM_MEDIA_TYPE)
        answer = await python_runner.apply("text", image)
        assert answer.status_code == 422
        assert reason in answer.json()["message"]


async def test_useless_compiled_component_is_made_anew(tmp_path: Path, python_runner: Served) -> None:
    """As after a power failure or on another CPU: the file in the cache is replaced."""
    (tmp_path / "app.wasm").write_text("(component)")
    image = python_runner.write_image("text", tmp_path / "app.wasm", WASM_MEDIA_TYPE)
    await python_runner.apply("text", image)
    (compiled,) = (tmp_path / "compiled").iterdir()
    before = compiled.read_bytes()
    compiled.write_bytes(b"")
    assert "does not export" in (await python_runner.apply("text", image)).json()["message"]
    assert len(compiled.read_bytes()) == len(before)


async def test_source_is_not_run_by_a_wasm_runner(runner: Served, tmp_path: Path) -> None:
    """It promises a sandbox, which CPython has not."""
    layer = source_tar(tmp_path, ANSWER_WITH.format(b"x"))
    answer = await runner.apply("source", runner.write_image("source", layer, PYTHON_MEDIA_TYPE))
    assert answer.status_code == 422
    assert "Python source is not run by a WASM runner" in answer.json()["message"]


async def test_autoscaler_is_deleted_once(runner: Served) -> None:
    """It is there while the app wants autoscaling."""
    assert (await runner.control.delete(f"{HPAS}/hello-hpa")).status_code == 404
    await runner.apply("hello", COMPONENT_IMAGE, enableAutoscaling=True)
    assert (await runner.control.delete(f"{HPAS}/hello-hpa")).status_code == 200
    missing = await runner.control.delete(f"{HPAS}/hello-hpa")
    assert missing.json()["message"] == 'horizontalpodautoscalers.autoscaling "hello-hpa" not found'


async def test_new_version_replaces_the_old_without_a_gap(python_runner: Served, tmp_path: Path) -> None:
    """A request under way ends in the old version, none fails, and later ones get the new."""
    for word in (b"one", b"two"):
        layer = source_tar(tmp_path, ANSWER_WITH.format(word))
        python_runner.write_image(word.decode(), layer, PYTHON_MEDIA_TYPE)
    await python_runner.apply("app", "registry.local/ws-test/app:one")
    slow = asyncio.create_task(python_runner.call("app", "/?1"))
    rollout = asyncio.create_task(python_runner.apply("app", "registry.local/ws-test/app:two"))
    seen = []
    while not rollout.done():
        seen.append((await python_runner.call("app")).text)
    assert (await rollout).json()["metadata"]["generation"] == 2
    assert set(seen) <= {"one", "two"}
    assert (await python_runner.call("app")).text == "two"
    assert (await slow).text == "one"


async def test_pods_are_counted_and_labelled(runner: Served) -> None:
    """Three replicas are three pods, each with the function's id; memory and CPU are theirs."""
    await runner.apply("many", COMPONENT_IMAGE, replicas=3)
    assert await runner.metric("kube_pod_labels", label_function_id="fn-many", label_faas="true") == [1, 1, 1]
    before_s = sum(await runner.metric("container_cpu_usage_seconds_total", container="many"))
    await runner.call("many", "/compute?5")
    cpu_s = await runner.metric("container_cpu_usage_seconds_total", container="many", namespace="default")
    assert len(cpu_s) == 3
    assert before_s + 0.02 < sum(cpu_s) < before_s + 10
    memory_bytes = await runner.metric("container_memory_working_set_bytes", container="many")
    assert 20e6 < sum(memory_bytes) < 200e6


async def test_cpu_time_never_goes_down(python_runner: Served) -> None:
    """What a killed worker and a replaced version have used stays counted."""

    async def cpu_s() -> float:
        return sum(await python_runner.metric("container_cpu_usage_seconds_total", container="hello"))

    started = await cpu_s()
    await python_runner.call("hello", "/compute?10")
    first = await cpu_s()
    assert first > started + 0.05
    assert (await python_runner.call("hello", "/kill")).status_code == 502
    killed = await cpu_s()
    assert killed >= first
    await python_runner.apply("hello", COMPONENT_IMAGE, replicas=1)
    await until(lambda: python_runner.call("hello"))
    assert await cpu_s() >= killed


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("128Mi", 128 << 20), ("1Gi", 1 << 30), ("128M", 128_000_000), ("1.5k", 1500), ("1000", 1000)],
)
def test_quantity_is_read_as_kubernetes_does(text: str, size_bytes: int) -> None:
    """Binary and decimal units, and none."""
    assert parse_quantity(text) == size_bytes


@pytest.mark.parametrize("text", ["", "Mi", "-1", "1 Mi", "1mi", None])
def test_quantity_is_refused_when_malformed(text: str | None) -> None:
    """The field is named."""
    with pytest.raises(InvalidManifestError, match=r"spec\.resources\.limits\.memory"):
        parse_quantity(text)
