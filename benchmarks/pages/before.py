"""The gateway without its fast paths, to see what they bring: `python -m benchmarks pages --before`.

DynamoDB is asked through the SDK's client, and every field is graphql-core's, none of them started early. The
gateway has no such option: both are replaced in this process alone.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.cli import main
from gateway.upstream import dynamo
from schema import engine


@asynccontextmanager
async def _sdk(client: Any) -> AsyncIterator[Any]:
    yield client


if __name__ == "__main__":
    vars(dynamo)["open_wire"] = _sdk
    vars(engine)["PlanningExecutor"] = StrawberryGraphQLCoreExecutionContext
    raise SystemExit(main(["serve"]))
