"""What every test may ask for: a DynamoDB and S3 server of the session."""

from collections.abc import Iterator

import pytest

from tests.aws import SDK_ENVIRONMENT, running_aws


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[dict[str, str]]:
    """The SDKs' environment variables, set for the session; pass them on to processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name, value in SDK_ENVIRONMENT.items():
            patch.setenv(name, value)
        yield SDK_ENVIRONMENT


@pytest.fixture(scope="session")
def aws_server(aws_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a DynamoDB and S3 server that starts empty; tests share it, so they make up their own table names."""
    assert aws_environment
    with running_aws(tmp_path_factory.mktemp("aws")) as server:
        yield server.url
