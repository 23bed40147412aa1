"""Helm 4, YAML and Kubernetes' schemas, asked by the tests: a JSON request on stdin, its answer on stdout.

Runs in the environment of requirements.lock, which has these libraries; the tests' own has none of them.
"""

import json
import sys
from importlib import import_module
from typing import Any

helm_python = import_module("helm_python")  # like this, since mypy sees the tests' own environment
kubernetes_validate = import_module("kubernetes_validate")
yaml = import_module("yaml")


def render(request: dict[str, Any]) -> dict[str, Any]:
    """Render a chart: the text of each template, or what Helm has against it."""
    with helm_python.Chart.load(request["chart"]) as chart:
        try:
            rendered = chart.render(
                _values(request), name=request["release"], namespace=request["namespace"], is_install=True
            )
        except helm_python.HelmError as error:
            return {"error": str(error)}
    return {"rendered": rendered}


def lint(request: dict[str, Any]) -> dict[str, Any]:
    """What `helm lint --strict` says above the level of advice."""
    report = helm_python.lint(request["chart"], _values(request), strict=True, kube_version=request["version"])
    advice = 1
    said = [message["error"] for message in report["messages"] if message["severity"] > advice]
    return {"said": [*said, *report["errors"]]}


def parse(request: dict[str, Any]) -> dict[str, Any]:
    """The documents of a YAML text, without empty ones."""
    return {"documents": [document for document in yaml.safe_load_all(request["text"]) if document]}


def validate(request: dict[str, Any]) -> dict[str, Any]:
    """What Kubernetes' own schemas, which know no other field, have against manifests."""
    problems = []
    for manifest in request["manifests"]:
        try:
            kubernetes_validate.validate(manifest, request["version"], strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            path = ".".join(str(part) for part in getattr(error, "path", ()))
            problems.append(f"{manifest['kind']} {manifest['metadata']['name']}: {path}: {error.message}")
    return {"problems": problems}


def _values(request: dict[str, Any]) -> dict[str, Any]:
    """The values of files and of the request itself, later ones on top of earlier ones, as Helm does it."""
    values: dict[str, Any] = {}
    for path in request["files"]:
        with open(path) as file:  # noqa: PTH123  # it is a string on its way from JSON
            values = _merged(values, yaml.safe_load(file) or {})
    merged: dict[str, Any] = _merged(values, request["values"])
    return merged


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


ACTIONS = {action.__name__: action for action in (render, lint, parse, validate)}

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(ACTIONS[asked.pop("do")](asked), sys.stdout, default=str)
