"""The example for Argo CD can be used as it is written, and leaves Argo CD nothing to differ about."""

import re
from typing import Any

import pytest

from gateway import __version__
from tests.helm.chart import CHART, RELEASE, ROOT, Manifest, ask, of_kind, render

pytestmark = pytest.mark.ci

CHANGING = re.compile(
    r"\b(rand\w+|uuidv4|now|gen\w*(Cert|CA|PrivateKey)|lookup|htpasswd)\b|\.(Capabilities|IsInstall|IsUpgrade)"
)
"""What makes a template depend on more than its values."""


@pytest.fixture(scope="module")
def application() -> Manifest:
    """The example."""
    text = (CHART / "examples" / "argocd-application.yaml").read_text()
    (found,) = ask("parse", text=text)["documents"]
    manifest: Manifest = found
    return manifest


def test_example_leads_to_the_chart(application: Manifest) -> None:
    """Its path is the chart's, its release is named as the documents name it, its tag is this version's."""
    source = application["spec"]["source"]
    assert ROOT / source["path"] == CHART
    assert source["helm"]["releaseName"] == RELEASE
    assert source["targetRevision"] == f"v{__version__}"


def test_example_leaves_replicas_to_the_autoscaler(application: Manifest) -> None:
    """Argo CD would set them back at every sync."""
    values: dict[str, Any] = application["spec"]["source"]["helm"]["valuesObject"]
    manifests = render("helm4", values=values)
    (deployment,) = of_kind(manifests, "Deployment")
    assert "replicas" not in deployment["spec"]
    assert len(of_kind(manifests, "HorizontalPodAutoscaler")) == 1


def test_rendering_depends_on_values_alone() -> None:
    """Nothing is random, dated or looked up in a cluster: Argo CD renders at every look, and asks none."""
    templates = [path for path in (CHART / "templates").rglob("*") if path.is_file()]
    assert len(templates) > 10
    actions = {path.name: re.findall(r"\{\{[^/].*?\}\}", path.read_text(), re.DOTALL) for path in templates}
    assert [(name, action) for name, found in actions.items() for action in found if CHANGING.search(action)] == []
