"""What the manifests mean: what pods may do, how they come and go, and that everything named is there."""

import asyncio
import re
from typing import Any

import pytest
from starlette.routing import Route

from gateway.app import create_app
from gateway.settings import Settings
from gateway.web.health import CHECK_TIMEOUT_S
from schema.transport.uploads import MAX_UPLOADS
from tests.helm.chart import OLDEST, ROOT, SETS, ask, of_kind, one, render, rendered

pytestmark = pytest.mark.ci

EACH_SET = pytest.mark.parametrize("name", SETS)
ALB = "alb.ingress.kubernetes.io/"


def pods_of(name: str) -> dict[str, dict[str, Any]]:
    """The specs of all pods of a value set, by component."""
    templates = [one(rendered(name), "Deployment")["spec"]["template"], *of_kind(rendered(name), "Pod")]
    templates += [job["spec"]["template"] for job in of_kind(rendered(name), "Job")]
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for pod in templates}


def gateway_pod(**values: Any) -> dict[str, Any]:
    """The spec of the gateway's pod with these values on top of the least."""
    template: dict[str, Any] = one(render("helm4", "minimal", values=values), "Deployment")["spec"]["template"]
    return template


def selects(selector: dict[str, str], pod: dict[str, Any]) -> bool:
    """Whether a selector finds a pod."""
    return set(selector.items()) <= set(pod["metadata"]["labels"].items())


@EACH_SET
def test_containers_may_do_nothing_special(name: str) -> None:
    """No root, no capability, no writable root, and a token only for the gateway itself."""
    pods = pods_of(name)
    assert set(pods) == {"gateway", "test"} | ({"migrate"} if name != "minimal" else set())
    for component, pod in pods.items():
        security = pod["spec"]["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (True, 10001, 10001)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["enableServiceLinks"] is False
        assert pod["spec"]["automountServiceAccountToken"] is (component == "gateway")
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_user_is_the_images() -> None:
    """The image's files belong to root; its user is the one that the pods name."""
    assert re.findall(r"^USER (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == ["10001:10001"]


@EACH_SET
def test_roles_are_narrow(name: str) -> None:
    """Named groups, resources and verbs in the functions' namespaces; nothing of the whole cluster."""
    assert not [manifest for manifest in rendered(name) if manifest["kind"].startswith("Cluster")]
    for role in of_kind(rendered(name), "Role"):
        namespace = role["metadata"]["namespace"]
        assert role["rules"] == [
            {"apiGroups": ["core.spinkube.dev"], "resources": ["spinapps"], "verbs": ["get", "delete"]},
            {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["delete"]},
            {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": [namespace], "verbs": ["get"]},
        ]


@EACH_SET
def test_selectors_find_the_gateways_pods_alone(name: str) -> None:
    """They are the same everywhere, and neither a migration nor a test gets the Service's requests."""
    instance, chart = "blue-faas-gateway", "gateway" if name == "everything" else "blue-faas-gateway"
    selector = {
        "app.kubernetes.io/name": chart,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": "gateway",
    }
    deployment = one(rendered(name), "Deployment")["spec"]
    assert deployment["selector"]["matchLabels"] == selector
    assert one(rendered(name), "Service")["spec"]["selector"] == selector
    assert one(rendered(name), "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == selector
    assert [component for component, pod in pods_of(name).items() if selects(selector, pod)] == ["gateway"]


@EACH_SET
def test_whatever_is_named_exists(name: str) -> None:
    """Accounts, ConfigMaps, Services and roles are in the render; Secrets are those of the values."""
    there = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in rendered(name)}
    for pod in pods_of(name).values():
        spec = pod["spec"]
        if "serviceAccountName" in spec:
            assert ("ServiceAccount", spec["serviceAccountName"]) in there
        sources = spec["containers"][0].get("envFrom", [])
        assert all(("ConfigMap", source["configMapRef"]["name"]) in there for source in sources[:1])
        secrets = [source["secretRef"]["name"] for source in sources[1:]]
        assert secrets in ([], ["blue-loki", "blue-aws"])
    for binding in of_kind(rendered(name), "RoleBinding"):
        (subject,) = binding["subjects"]
        assert {("Role", binding["roleRef"]["name"]), ("ServiceAccount", subject["name"])} <= there
    for autoscaler in of_kind(rendered(name), "HorizontalPodAutoscaler"):
        assert ("Deployment", autoscaler["spec"]["scaleTargetRef"]["name"]) in there
    for ingress in of_kind(rendered(name), "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert ("Service", backend["name"]) in there
        ports = one(rendered(name), "Service")["spec"]["ports"]
        assert backend["port"]["name"] in [port["name"] for port in ports]


@pytest.mark.parametrize("name", SETS[1:])
def test_migration_has_what_it_needs_before_it_starts(name: str) -> None:
    """Its account, settings and policy are hooks of the same events, of lower weight."""
    hooks = [manifest for manifest in rendered(name) if manifest["metadata"]["name"].endswith("-migrate")]
    weights = {}
    for hook in hooks:
        annotations = hook["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert "before-hook-creation" in annotations["helm.sh/hook-delete-policy"].split(",")
        weights[hook["kind"]] = int(annotations["helm.sh/hook-weight"])
    assert weights == {"ServiceAccount": -10, "ConfigMap": -10, "NetworkPolicy": -10, "Job": 0}
    account = one(hooks, "ServiceAccount", "migrate")["metadata"]
    gateways = one(rendered(name), "ServiceAccount")["metadata"]
    role = "eks.amazonaws.com/role-arn"
    assert account["annotations"][role] != gateways["annotations"][role]
    settings = one(hooks, "ConfigMap", "migrate")["data"]
    assert settings == one(rendered(name), "ConfigMap")["data"]


@pytest.mark.parametrize(("drain_s", "pre_stop_s", "grace_s"), [(20, 15, 45), (0, 0, 10), (900.5, 30, 941)])
def test_pods_have_time_to_stop(drain_s: float, pre_stop_s: int, grace_s: int) -> None:
    """The grace is what preStop and the drain take, and 10 s for what has to be written then."""
    spec = gateway_pod(preStopSeconds=pre_stop_s, settings={"DRAIN_TIMEOUT_S": drain_s})["spec"]
    assert spec["terminationGracePeriodSeconds"] == grace_s
    expected = {"preStop": {"sleep": {"seconds": pre_stop_s}}} if pre_stop_s else None
    assert spec["containers"][0].get("lifecycle") == expected


@EACH_SET
def test_roll_outs_have_no_gap(name: str) -> None:
    """Never fewer pods than before, and replicas are the autoscaler's where there is one."""
    spec = one(rendered(name), "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert ("replicas" in spec) is (not of_kind(rendered(name), "HorizontalPodAutoscaler"))
    for ingress in of_kind(rendered(name), "Ingress"):
        annotations = ingress["metadata"]["annotations"]
        checks = int(annotations[ALB + "healthy-threshold-count"])
        interval_s = int(annotations[ALB + "healthcheck-interval-seconds"])
        assert spec["minReadySeconds"] >= checks * interval_s
        grace_s = spec["template"]["spec"]["terminationGracePeriodSeconds"]
        delay = annotations[ALB + "target-group-attributes"]
        assert delay == f"deregistration_delay.timeout_seconds={grace_s}"


@EACH_SET
def test_probes_ask_for_routes_of_the_app(name: str) -> None:
    """The paths exist, the port is the container's, and readiness waits for DynamoDB's answer."""
    app = create_app(Settings(), base_url="http://gateway.example.com", draining=asyncio.Event())
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    container = pods_of(name)["gateway"]["spec"]["containers"][0]
    probes = {key: container[key] for key in ("startupProbe", "livenessProbe", "readinessProbe")}
    asked = {key: probe["httpGet"]["path"] for key, probe in probes.items()}
    assert asked == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert set(asked.values()) <= paths
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {container["ports"][0]["name"]}
    assert probes["readinessProbe"]["timeoutSeconds"] > CHECK_TIMEOUT_S
    for ingress in of_kind(rendered(name), "Ingress"):
        assert ingress["metadata"]["annotations"][ALB + "healthcheck-path"] in paths


def test_pods_roll_when_settings_change_and_not_otherwise() -> None:
    """The annotation is the settings' checksum: the Ingress's host is one of them, its annotations are not."""

    def checksum(**values: Any) -> str:
        found: str = gateway_pod(**values)["metadata"]["annotations"]["checksum/settings"]
        return found

    before = checksum()
    assert checksum(settings={"LOG_LEVEL": "DEBUG"}) != before
    assert checksum(ingress={"enabled": True, "host": "api.example.com"}) != before
    assert checksum(service={"annotations": {"a": "b"}}, replicas=5) == before


@pytest.mark.parametrize(
    ("upload_bytes", "size"),
    [(52_428_800, f"{MAX_UPLOADS * 50}Mi"), (1_073_741_824, f"{MAX_UPLOADS}Gi"), (1, f"{MAX_UPLOADS}Mi")],
)
def test_tmp_has_room_for_uploads(upload_bytes: int, size: str) -> None:
    """For as many uploads at a time as the gateway takes, of the size that it takes."""
    spec = gateway_pod(settings={"MAX_UPLOAD_BYTES": upload_bytes})["spec"]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": size}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_names_stay_texts_when_they_look_like_numbers() -> None:
    """Kubernetes takes a namespace `007`; unquoted it would be a number, or another one."""
    values = {"settings": {"FUNCTION_NAMESPACES": ["007", "on"]}, "secretNames": ["1e3"]}
    manifests = render("helm4", "minimal", values=values | {"networkPolicy": {"enabled": True}})
    assert [role["metadata"]["namespace"] for role in of_kind(manifests, "Role")] == ["007", "on"]
    assert one(manifests, "ConfigMap")["data"]["FUNCTION_NAMESPACES"] == "007,on"
    assert ask("validate", manifests=manifests, version=OLDEST)["problems"] == []
