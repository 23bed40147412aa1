"""The chart is rendered by Helm 3 and Helm 4 alike, into manifests that Kubernetes takes."""

import tarfile
from pathlib import Path

import pytest

from gateway import __version__
from tests.helm.chart import (
    CHART,
    NAMESPACE,
    NEWEST,
    OLDEST,
    RELEASE,
    SETS,
    RefusedError,
    ask,
    of_kind,
    one,
    render,
    rendered,
    run_helm3,
    values_file,
)
from tests.helm.expected import SETS as GOLDEN
from tests.helm.expected import golden_file, golden_text

pytestmark = pytest.mark.ci

EKS = "1.33.5-eks-3cfe0ce"
"""EKS's versions look like releases before 1.33.5 to Helm."""


@pytest.mark.parametrize("name", SETS)
def test_helm3_finds_nothing_to_lint(name: str) -> None:
    """No error and no warning."""
    done = run_helm3("lint", CHART, "--strict", "--values", values_file(name))
    assert "1 chart(s) linted, 0 chart(s) failed" in done.stdout, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("name", SETS)
def test_helm4_finds_nothing_to_lint(name: str) -> None:
    """No error and no warning."""
    answer = ask("lint", chart=str(CHART), files=[str(values_file(name))], values={}, version=f"v{NEWEST}")
    assert answer["said"] == []


@pytest.mark.parametrize("name", SETS)
def test_helm3_and_helm4_render_the_same(name: str) -> None:
    """Whoever installs, the manifests are the same."""

    def key(manifest: dict[str, dict[str, str]]) -> tuple[str, str, str]:
        return str(manifest["kind"]), manifest["metadata"]["namespace"], manifest["metadata"]["name"]

    assert sorted(render("helm3", name), key=key) == sorted(rendered(name), key=key)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", SETS)
def test_kubernetes_takes_the_manifests(name: str, version: str) -> None:
    """Kubernetes' schemas know every field, and every value has the right type."""
    assert ask("validate", manifests=rendered(name), version=version)["problems"] == []


def test_validation_refuses_what_kubernetes_does_not_know() -> None:
    """A field too many is a problem: the test above can fail."""
    service = one(rendered("minimal"), "Service")
    wrong = service | {"spec": service["spec"] | {"prots": []}}
    (problem,) = ask("validate", manifests=[wrong], version=OLDEST)["problems"]
    assert problem.startswith(f"Service {RELEASE}: spec: ")
    assert "'prots' was unexpected" in problem


@pytest.mark.parametrize("version", [OLDEST, EKS, NEWEST])
def test_manifests_are_the_same_on_every_version(version: str) -> None:
    """Nothing depends on what a cluster offers: Argo CD, which asks none, renders what Helm installs."""
    assert render("helm3", "production", version=version) == render("helm3", "production")


def test_older_versions_are_refused() -> None:
    """Below 1.30 there is no `sleep` for preStop."""
    with pytest.raises(RefusedError, match=r"chart requires kubeVersion: >=1\.30\.0-0"):
        render("helm3", "production", version="1.29.9")


@pytest.mark.parametrize("name", GOLDEN)
def test_manifests_are_the_golden_ones(name: str) -> None:
    """A change of what the chart makes is committed with it."""
    assert golden_text(name) == golden_file(name).read_text(), "if that is wanted: python -m tests.helm.expected"


@pytest.mark.parametrize("name", SETS)
def test_manifests_name_their_namespace(name: str) -> None:
    """Everything is in the release's namespace, but for the roles, which are in those of the functions."""
    namespaces = {"minimal": ["default"], "production": ["blue-functions"], "everything": ["team-a", "team-b"]}
    roles = [*of_kind(rendered(name), "Role"), *of_kind(rendered(name), "RoleBinding")]
    assert sorted(role["metadata"]["namespace"] for role in roles) == sorted(namespaces[name] * 2)
    others = [manifest for manifest in rendered(name) if manifest not in roles]
    assert {manifest["metadata"]["namespace"] for manifest in others} == {NAMESPACE}


@pytest.mark.parametrize("name", SETS)
def test_manifests_have_nothing_empty(name: str) -> None:
    """The API server drops empty and null fields: Argo CD would see a difference for ever.

    The core API's group is the one empty text that means something.
    """

    def empty(value: object, path: str) -> list[str]:
        if isinstance(value, dict):
            parts = [found for key, inner in value.items() for found in empty(inner, f"{path}.{key}")]
        elif isinstance(value, list):
            parts = [found for index, inner in enumerate(value) for found in empty(inner, f"{path}[{index}]")]
        else:
            parts = []
        return [path] if value in (None, "", {}, []) else parts

    found = [path for manifest in rendered(name) for path in empty(manifest, manifest["kind"])]
    assert [path for path in found if not path.endswith(".apiGroups[0]")] == []


def test_archive_has_the_chart_alone(tmp_path: Path) -> None:
    """Examples and the value sets of the tests stay here."""
    done = run_helm3("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / f"{RELEASE}-{__version__}.tgz") as archive:
        packed = {Path(name).parts[1] for name in archive.getnames()}
    assert packed == {"Chart.yaml", "README.md", "files", "templates", "values.schema.json", "values.yaml"}
