"""The client where Kubernetes does not answer with its objects; what it asks for is tests/permissions'."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.errors import KubernetesError
from gateway.upstream.kubernetes import Kubernetes, open_kubernetes
from tests.observability import serving


@asynccontextmanager
async def kubernetes_that_says(text: str, status: int) -> AsyncIterator[Kubernetes]:
    """An API with one answer to everything."""

    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse(text, status)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE"])])
    async with serving(app) as url, open_kubernetes(url) as kubernetes:
        yield kubernetes


async def test_spinapps_where_they_are_not_defined() -> None:
    """A path that the API does not know is text: there is no such app, nothing to delete, and no more to say."""
    async with kubernetes_that_says("404 page not found\n", 404) as kubernetes:
        assert await kubernetes.get_spinapp_owner("default", "shop") is None
        await kubernetes.delete_spinapp("default", "shop")
        assert await kubernetes.has_namespace("default") is None
        assert await kubernetes.is_allowed("default", "get", "core.spinkube.dev", "spinapps") is None


@pytest.mark.parametrize("text", ["<html>Sign in</html>", "[]"])
async def test_answer_that_is_no_object(text: str) -> None:
    """Something else answers at the API's address."""
    async with kubernetes_that_says(text, 200) as kubernetes:
        with pytest.raises(KubernetesError) as raised:
            await kubernetes.get_spinapp_owner("default", "shop")
    path = "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/shop"
    assert raised.value.message == f"The Kubernetes API answered GET {path} with no object: {text}"
    assert not raised.value.retryable


async def test_spinapp_outside_a_cluster(caplog: pytest.LogCaptureFixture) -> None:
    """Without an API nothing is deleted, and a warning says what is left."""
    async with open_kubernetes(None) as kubernetes:
        assert not kubernetes.is_configured
        await kubernetes.delete_spinapp("default", "shop")
    assert "no Kubernetes API: the SpinApp default/shop is not deleted" in caplog.messages
