"""The chart as the tests see it: rendered by Helm 3 and by Helm 4, parsed, with what was refused."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.nodejs import install_packages

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-helm" / "bin" / "python"
HELM3 = HERE / "helm3" / "node_modules" / ".bin" / "helm"
SETS = ("minimal", "production", "everything")
"""The value sets in helm/ci."""
OLDEST, NEWEST = "1.30.0", "1.37.0"
"""Versions of Kubernetes: the first that the chart takes, and the last whose schemas are known here."""
RELEASE, NAMESPACE = "blue-faas-gateway", "blue"
TIMEOUT_S = 60

Helm = Literal["helm3", "helm4"]
Manifest = dict[str, Any]


class RefusedError(Exception):
    """Helm did not render the chart; the message is what it said."""


def ask(do: str, **request: Any) -> Any:
    """Ask helm4.py, in the environment that has its libraries."""
    assert PYTHON.exists(), (
        f"{PYTHON} is missing: python3 -m venv .venv-helm && .venv-helm/bin/python -m pip install "
        "--require-hashes -r tests/helm/requirements.lock"
    )
    done = subprocess.run(
        [PYTHON, HERE / "helm4.py"],
        input=json.dumps({"do": do, **request}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_helm3(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm 3, with no cluster and nothing kept."""
    install_packages(HELM3.parents[2])
    environment = {"HOME": "/nowhere"}
    return subprocess.run(
        [HELM3, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment
    )


def render_texts(*sets: str, values: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What Helm 4 makes of each template, NOTES.txt among them; RefusedError where it refuses."""
    answer = ask(
        "render",
        chart=str(CHART),
        files=[str(values_file(name)) for name in sets],
        values=values or {},
        release=RELEASE,
        namespace=NAMESPACE,
    )
    if "error" in answer:
        raise RefusedError(answer["error"])
    prefix = f"{RELEASE}/templates/"
    return {path.removeprefix(prefix): text for path, text in answer["rendered"].items()}


def render(
    helm: Helm, *sets: str, values: Mapping[str, Any] | None = None, version: str = NEWEST
) -> list[Manifest]:
    """The manifests of value sets with `values` on top, hooks among them; RefusedError where Helm refuses."""
    if helm == "helm4":
        texts = render_texts(*sets, values=values)
        text = "\n---\n".join(text for path, text in texts.items() if path != "NOTES.txt")
    else:
        text = _template(sets, values or {}, version)
    documents: list[Manifest] = ask("parse", text=text)["documents"]
    return documents


@cache
def rendered(name: str) -> tuple[Manifest, ...]:
    """The manifests of one value set, made once."""
    return tuple(render("helm4", name))


def values_file(name: str) -> Path:
    """The file of a value set."""
    return CHART / "ci" / f"{name}-values.yaml"


def of_kind(manifests: Sequence[Manifest], kind: str) -> list[Manifest]:
    """The manifests of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: Sequence[Manifest], kind: str, component: str = "gateway") -> Manifest:
    """The only manifest of a kind that a component has."""
    (found,) = (
        manifest
        for manifest in of_kind(manifests, kind)
        if manifest["metadata"]["labels"]["app.kubernetes.io/component"] == component
    )
    return found


def _template(sets: Sequence[str], values: Mapping[str, Any], version: str) -> str:
    files = [argument for name in sets for argument in ("--values", values_file(name))]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as above:
        json.dump(values, above)
        above.flush()
        done = run_helm3(
            *("template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", version),
            *(*files, "--values", above.name),
        )
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout
