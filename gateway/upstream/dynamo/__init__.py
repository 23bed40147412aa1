"""DynamoDB: the one table, a file for each noun in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.records.clock import Clock
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.dynamo.builds import BuildTable
from gateway.upstream.dynamo.deployments import DeploymentTable
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable
from gateway.upstream.dynamo.figures import FiguresTable
from gateway.upstream.dynamo.functions import FunctionTable
from gateway.upstream.dynamo.holds import HoldTable
from gateway.upstream.dynamo.image_deploys import ImageDeployTable
from gateway.upstream.dynamo.places import PlaceTable
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.reader import RowReader
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.wire import open_wire
from gateway.upstream.dynamo.workspaces import WorkspaceTable

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamo:
    """The nouns of the table, all through one client."""

    table: Table
    rows: RowReader
    workspaces: WorkspaceTable
    functions: FunctionTable
    figures: FiguresTable
    execution_logs: ExecutionLogTable
    builds: BuildTable
    deployments: DeploymentTable
    image_deploys: ImageDeployTable
    holds: HoldTable
    places: PlaceTable

    @classmethod
    def on(cls, table: Table, log_retention_days: int, clock: Clock) -> "Dynamo":
        """The nouns of this table."""
        pointers, figures = Pointers(table), FiguresTable(table, clock)
        return cls(
            table=table,
            rows=RowReader(table, figures, clock),
            workspaces=WorkspaceTable(table),
            functions=FunctionTable(table, pointers),
            figures=figures,
            execution_logs=ExecutionLogTable(table, clock, log_retention_days * SECONDS_PER_DAY),
            builds=BuildTable(table, pointers),
            deployments=DeploymentTable(table),
            image_deploys=ImageDeployTable(table),
            holds=HoldTable(table),
            places=PlaceTable(table),
        )


@asynccontextmanager
async def open_dynamo(
    *, region: str, endpoint_url: str | None, table_name: str, log_retention_days: int, clock: Clock
) -> AsyncIterator[Dynamo]:
    """Open the table for the life of the process."""
    async with open_dynamodb_client(region, endpoint_url) as client, open_wire(client) as wire:
        yield Dynamo.on(Table(wire, table_name), log_retention_days, clock)
