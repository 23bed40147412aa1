"""/deploy and /scaffold: the SpinApp that is applied, the answers' shapes, and the statuses of what is wrong."""

from typing import Any

import pytest

from tests.local.builder.stage import Builder, Cluster, StartBuilder

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGE = "registry.local/functions:t1"


async def deploy(builder: Builder, **body: Any) -> tuple[int, Any]:
    """POST /deploy to the namespace default; status and body."""
    answer = await builder.client.post("/api/v1/deploy", json={"namespace": "default", "image_ref": IMAGE} | body)
    return answer.status_code, answer.json()


async def test_endpoint_is_known_at_the_second_call(builder: Builder, cluster: Cluster) -> None:
    """The name is cleaned; the first answer has no endpoint, the next one by the answered name has it."""
    status, first = await deploy(builder, app_name="My-Hello_App 1", function_id="fn-1")
    assert status == 200
    assert first == {
        "app_name": "myhelloapp1",
        "namespace": "default",
        "service_name": "myhelloapp1",
        "service_status": "not_found",
        "endpoint": None,
        "enable_autoscaling": True,
        "use_spot": True,
        "error": None,
    }
    status, second = await deploy(builder, app_name=first["app_name"], use_spot=False)
    assert status == 200
    assert second == first | {
        "service_status": "found",
        "endpoint": "myhelloapp1.default.svc.cluster.local",
        "use_spot": False,
    }
    assert cluster.calls == ["GET default/myhelloapp1", "PATCH default/myhelloapp1"] * 2


async def test_name_is_the_images_when_none_is_given(builder: Builder, cluster: Cluster) -> None:
    """The last part of the image's repository names the app."""
    _, answer = await deploy(builder, image_ref="registry.local/ws-1/my_app:t1")
    assert answer["app_name"] == "myapp"
    assert list(cluster.apps) == ["myapp"]


async def test_service_is_pending_when_nothing_is_ready(builder: Builder, cluster: Cluster) -> None:
    """A SpinApp that is there without a ready replica has no endpoint yet."""
    cluster.ready_replicas = 0
    await deploy(builder, app_name="slow")
    _, second = await deploy(builder, app_name="slow")
    assert (second["service_status"], second["endpoint"]) == ("pending", None)


async def test_manifest_is_the_spinapp(builder: Builder, cluster: Cluster) -> None:
    """Image, labels and resources are in the applied object; replicas only without autoscaling."""
    status, _ = await deploy(
        builder,
        app_name="full",
        function_id="fn-1",
        enable_autoscaling=False,
        replicas=3,
        service_account="runner",
        cpu_limit="500m",
        memory_limit="256Mi",
        memory_request="0.5Gi",
    )
    assert status == 200
    del cluster.apps["full"]["status"]
    assert cluster.apps["full"] == {
        "apiVersion": "core.spinkube.dev/v1alpha1",
        "kind": "SpinApp",
        "metadata": {"name": "full", "namespace": "default"},
        "spec": {
            "image": IMAGE,
            "executor": "containerd-shim-spin",
            "enableAutoscaling": False,
            "replicas": 3,
            "podLabels": {"faas": "true", "function_id": "fn-1"},
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"memory": "0.5Gi"}},
            "serviceAccountName": "runner",
        },
    }
    await deploy(builder, app_name="short")
    spec = cluster.apps["short"]["spec"]
    assert (spec["enableAutoscaling"], "replicas" in spec, spec["podLabels"]) == (True, False, {"faas": "true"})


async def test_namespace_that_is_missing_is_400(builder: Builder, cluster: Cluster) -> None:
    """One that the builder does not know, and one that the cluster does not."""
    assert await deploy(builder, namespace="nope") == (400, {"detail": "Namespace 'nope' not found"})
    assert cluster.calls == []
    assert await deploy(builder, namespace="gone", app_name="x") == (400, {"detail": "Namespace 'gone' not found"})
    assert cluster.calls == ["GET gone/x", "PATCH gone/x"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"image_ref": ""}, "spec.image: Invalid value: must not be empty"),
        ({"memory_limit": "lots"}, "memory: Invalid value: 'lots': not a quantity"),
        ({"cpu_request": "1,5"}, "cpu: Invalid value: '1,5': not a quantity"),
        ({"replicas": 0}, "spec.replicas: Invalid value: 0: replicas must be > 0"),
        (
            {"replicas": 0, "enable_autoscaling": False},
            "spec.replicas: Invalid value: 0: replicas must be > 0",
        ),
        (
            {"replicas": 2},
            "spec.replicas: Invalid value: 2: replicas cannot be set when autoscaling is enabled",
        ),
        ({"app_name": "-_ "}, "metadata.name: Invalid value: '': not a DNS label"),
        ({"app_name": "../x"}, "metadata.name: Invalid value: '../x': not a DNS label"),
    ],
)
async def test_bad_value_is_500_and_nothing_is_applied(
    builder: Builder, cluster: Cluster, body: dict[str, Any], reason: str
) -> None:
    """What Kubernetes would not take is a 500 with its words."""
    status, answer = await deploy(builder, **({"app_name": "bad"} | body))
    assert (status, answer) == (500, {"detail": f"Failed to deploy: {reason}"})
    assert not any(call.startswith("PATCH") for call in cluster.calls)


async def test_refusal_of_kubernetes_is_500(builder: Builder, cluster: Cluster) -> None:
    """An image that can't be started is told in the cluster's words."""
    cluster.refusal = "image registry.local/functions:t1: not found"
    assert await deploy(builder, app_name="x") == (
        500,
        {"detail": "Failed to deploy: image registry.local/functions:t1: not found"},
    )


async def test_kubernetes_that_is_down_is_500(start_builder: StartBuilder) -> None:
    """Nobody listens where the API should be."""
    async with start_builder(kubernetes_url="http://127.0.0.1:9") as builder:
        status, answer = await deploy(builder, app_name="x")
    assert status == 500
    assert answer["detail"].startswith("Failed to deploy: Kubernetes did not answer: ConnectError(")


async def test_body_is_422_when_fields_are_missing_or_wrong(builder: Builder) -> None:
    """namespace and image_ref are required; types are checked."""
    answer = await builder.client.post("/api/v1/deploy", json={"replicas": "many"})
    assert answer.status_code == 422
    assert [(error["loc"], error["type"]) for error in answer.json()["detail"]] == [
        (["body", "namespace"], "missing"),
        (["body", "image_ref"], "missing"),
        (["body", "replicas"], "int_parsing"),
    ]


async def scaffold(builder: Builder, **body: Any) -> dict[str, Any]:
    """POST /scaffold, which answers 200 whatever comes of it."""
    answer = await builder.client.post("/api/v1/scaffold", json={"image_ref": IMAGE} | body)
    assert answer.status_code == 200
    return dict(answer.json())


async def test_scaffold_is_the_manifest_as_yaml(builder: Builder) -> None:
    """One replica unless told; no file unless asked for."""
    answer = await scaffold(builder)
    assert (answer["success"], answer["file_path"], answer["error"]) == (True, None, None)
    assert answer["yaml_content"] == (
        "apiVersion: core.spinkube.dev/v1alpha1\n"
        "kind: SpinApp\n"
        "metadata:\n"
        "  name: functions\n"
        "spec:\n"
        '  image: "registry.local/functions:t1"\n'
        "  executor: containerd-shim-spin\n"
        "  replicas: 1\n"
    )


async def test_scaffold_writes_the_file_in_its_own_folder(builder: Builder) -> None:
    """The answer names where the file is."""
    answer = await scaffold(builder, output_path="/out/app.yaml", component='a "b"', replicas=2)
    assert answer["file_path"] == str(builder.config.data_dir / "scaffold" / "out" / "app.yaml")
    written = (builder.config.data_dir / "scaffold" / "out" / "app.yaml").read_text()
    assert written == answer["yaml_content"]
    assert written.endswith('  replicas: 2\n  components:\n    - "a \\"b\\""\n')


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"image_ref": "nope"}, "image 'nope' is not on registry.local, the only registry here"),
        ({"replicas": -1}, "the minimum replica count must be greater than or equal to 0"),
        ({"output_path": "../../x.yaml"}, "../../x.yaml: outside of the builder's folder"),
    ],
)
async def test_scaffold_that_fails_is_an_answer(builder: Builder, body: dict[str, Any], reason: str) -> None:
    """A failure is 200 with success false."""
    assert await scaffold(builder, **body) == {
        "success": False,
        "yaml_content": None,
        "file_path": None,
        "error": reason,
    }
