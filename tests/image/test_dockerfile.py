"""What the Dockerfile says, and what a build of it would be sent."""

import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from gateway import __version__
from tests.image.context import build_context, ignore_rules, is_ignored
from tests.image.dockerfile import ROOT, copied_from_context, read_dockerfile


@pytest.fixture(scope="module")
def context() -> set[str]:
    """The files that a build is sent."""
    return build_context()


def test_context_is_what_is_copied(context: set[str]) -> None:
    """Nothing is sent that no COPY takes, and every COPY finds something."""
    copied = copied_from_context(read_dockerfile())

    def takes(path: str, file: str) -> bool:
        return PurePosixPath(file).is_relative_to(path)

    assert sorted(file for file in context if not any(takes(path, file) for path in copied)) == []
    assert sorted(path for path in copied if not any(takes(path, file) for file in context)) == []


def test_context_has_no_sources_of_the_explorer(context: set[str]) -> None:
    """Its built assets are there; node_modules, byte code and what is not the gateway's are not."""
    explorer = {file for file in context if file.startswith("gateway/web/explorer/")}
    assert {PurePosixPath(file).parts[3] for file in explorer} == {"static"}
    assert "gateway/web/explorer/static/index.html" in explorer
    assert [file for file in context if "__pycache__" in file or file.endswith(".pyc")] == []
    assert {PurePosixPath(file).parts[0] for file in context} == {
        "LICENSE",
        "README.md",
        "gateway",
        "pyproject.toml",
        "release",
        "schema",
    }


def test_rules_are_docker_s(tmp_path: Path) -> None:
    """The last rule that speaks of a file decides; a folder's rule speaks of what is in it."""
    (tmp_path / "ignore").write_text("# what is kept\n*\n!kept\n**/cache\nkept/some/*\n!kept/some/static\n")
    rules = ignore_rules(tmp_path / "ignore")
    kept = ["kept/a.py", "kept/some/static/a.js", "kept/cached"]
    ignored = ["other", "other/kept", "kept/cache/a", "kept/deep/er/cache/a", "cache", "kept/some/a.js"]
    assert [path for path in kept + ignored if not is_ignored(path, rules)] == kept


def test_base_is_pinned_once() -> None:
    """All stages stand on one image, named by its digest."""
    base, *others = read_dockerfile()
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", base.base)
    assert {stage.base for stage in others} == {base.name}
    name = base.base.partition("@")[0]
    assert others[-1].one("LABEL").pairs()["org.opencontainers.image.base.name"] == f"docker.io/library/{name}"


def test_final_stage_runs_the_gateway() -> None:
    """As process 1, with no shell between, as a numeric user who is not root, ended by SIGTERM."""
    final = read_dockerfile()[-1]
    assert final.one("ENTRYPOINT").words() == ["blue-gateway"]
    assert final.one("CMD").words() == ["serve"]
    assert final.one("STOPSIGNAL").text == "SIGTERM"
    assert final.one("EXPOSE").text == "8000"
    user, group = final.one("USER").text.split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_labels_name_version_and_revision() -> None:
    """Both are arguments of the build, which `make image` gives."""
    final = read_dockerfile()[-1]
    labels = final.one("LABEL").pairs()
    assert labels["org.opencontainers.image.version"] == "$VERSION"
    assert labels["org.opencontainers.image.revision"] == "$REVISION"
    assert {name for argument in final.all("ARG") for name in argument.pairs()} == {"VERSION", "REVISION"}
    printed = subprocess.run(
        ["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert f"--build-arg VERSION={__version__} " in printed
    assert f"--tag blue-gateway:{__version__} " in printed
    assert "--build-arg REVISION=" in printed
