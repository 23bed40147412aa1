"""The function of these tests as a component, and a runner for each test."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.local.registry import PYTHON_MEDIA_TYPE, WASM_MEDIA_TYPE
from tests.local.runner.serving import (
    COMPONENT_IMAGE,
    SOURCE,
    Served,
    built_component,
    served_runner,
    source_tar,
    write_image,
)


@pytest.fixture(scope="session")
def component() -> Path:
    """The function built and compiled: 15 s the first time, nothing from then on."""
    return built_component()


@pytest.fixture(scope="session")
def images(component: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that has the function as `COMPONENT_IMAGE`: copying 37 MB for each test would take longer."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "compiled").symlink_to(component.parent / "compiled")
    write_image(folder / "registry", "one", component, WASM_MEDIA_TYPE, environment={"COLOUR": "blue"})
    return folder / "registry"


@contextlib.asynccontextmanager
async def wasm_hello(folder: Path, images: Path) -> AsyncIterator[Served]:
    """A WASM runner; the function is deployed as `hello` with the default settings of the tests."""
    async with served_runner(folder, registry=images) as served:
        assert (await served.apply("hello", COMPONENT_IMAGE)).status_code == 201
        yield served


@contextlib.asynccontextmanager
async def python_hello(folder: Path) -> AsyncIterator[Served]:
    """A runner for Python source; the function is deployed as `hello`."""
    async with served_runner(folder, registry=folder / "registry", mode="python") as served:
        layer = source_tar(folder, SOURCE.read_text())
        image = served.write_image("one", layer, PYTHON_MEDIA_TYPE, environment={"COLOUR": "blue"})
        assert (await served.apply("hello", image)).status_code == 201
        yield served


@pytest.fixture
async def runner(tmp_path: Path, images: Path) -> AsyncIterator[Served]:
    """A WASM runner of the test's own."""
    async with wasm_hello(tmp_path, images) as served:
        yield served


@pytest.fixture
async def python_runner(tmp_path: Path) -> AsyncIterator[Served]:
    """A runner for Python source of the test's own."""
    async with python_hello(tmp_path) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_runner(tmp_path_factory: pytest.TempPathFactory, images: Path) -> AsyncIterator[Served]:
    """A WASM runner for the tests of a module, which share its event loop: starting one takes longer than most."""
    async with wasm_hello(tmp_path_factory.mktemp("runner"), images) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_python_runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The same, for Python source."""
    async with python_hello(tmp_path_factory.mktemp("runner")) as served:
        yield served
