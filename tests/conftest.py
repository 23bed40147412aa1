"""What every test may ask for: a DynamoDB and S3 server of the session."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.aws import SDK_ENVIRONMENT, running_aws
from tests.contents import DYNAMODB_URL
from tests.dynamodb_local import dynamodb_local
from tests.permissions.check import CHECK, PermissionCheck


def pytest_configure(config: pytest.Config) -> None:
    """Compare what the gateway asks AWS for with what its policies allow."""
    config.stash[CHECK] = PermissionCheck(config)
    config.pluginmanager.register(config.stash[CHECK])


def pytest_addoption(parser: pytest.Parser) -> None:
    """The choice of the DynamoDB that the tests are run against."""
    parser.addoption(
        "--dynamodb",
        choices=["stand-in", "local"],
        default="stand-in",
        help="local: Amazon's DynamoDB Local for all tables, which needs Java and npm; S3 stays the stand-in's",
    )


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[dict[str, str]]:
    """The SDKs' environment variables, set for the session; pass them on to processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", DYNAMODB_URL):
            patch.delenv(name, raising=False)
        for name, value in SDK_ENVIRONMENT.items():
            patch.setenv(name, value)
        yield SDK_ENVIRONMENT


@pytest.fixture(scope="session")
def aws_server(
    aws_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[str]:
    """URL of a DynamoDB and S3 server that starts empty; tests share it, so they make up their own table names.

    With --dynamodb=local the environment names another DynamoDB, as the SDKs and the gateway understand it.
    """
    assert aws_environment
    with contextlib.ExitStack() as stack:
        data_dir = tmp_path_factory.mktemp("aws")
        server = stack.enter_context(running_aws(data_dir, module="tests.permissions.recorded_aws"))
        pytestconfig.stash[CHECK].data_dir = data_dir
        if pytestconfig.getoption("--dynamodb") == "local":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv(DYNAMODB_URL, stack.enter_context(dynamodb_local(tmp_path_factory.mktemp("dynamodb"))))
        yield server.url
