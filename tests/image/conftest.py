"""The image without an engine, and the release tools: both installed from their lock files, once for a session."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import __version__
from tests.gateway import NOBODY
from tests.image.dockerfile import ROOT, read_dockerfile
from tests.image.image import Image
from tests.image.stages import build
from tests.stores import prepared_settings


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What the Dockerfile's stages leave, in folders that nobody may write to."""
    root = tmp_path_factory.mktemp("image")
    stages = read_dockerfile()
    environment = build(stages, root, {"VERSION": __version__, "REVISION": "0" * 40})
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    for folder in folders:
        folder.chmod(0o555)
    yield Image(root, environment, stages[-1])
    for folder in folders:
        folder.chmod(0o755)


@pytest.fixture
async def settings(aws_server: str, aws_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What a deployment sets: table and bucket are there, nothing else is; TMPDIR is the folder to write to."""
    stores = await prepared_settings(aws_server)
    (tmp_path / "tmp").mkdir()
    return {
        **aws_environment,
        "AWS_ENDPOINT_URL": aws_server,
        "DYNAMODB_TABLE_NAME": stores.dynamodb_table_name,
        "S3_BUCKET_NAME": stores.s3_bucket_name,
        "BUILDER_SERVICE_URL": NOBODY,
        "LOKI_SERVICE_URL": NOBODY,
        "PROMETHEUS_SERVICE_URL": NOBODY,
        "TMPDIR": str(tmp_path / "tmp"),
        "HOST": "127.0.0.1",
        "PORT": "0",
    }


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of release/tools.lock."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=60)
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    options = ["--no-deps", "--require-hashes", "-r", f"{ROOT}/release/tools.lock"]
    subprocess.run([*pip, *options], check=True, timeout=600)
    return folder / "bin"
