"""The gateway and the systems behind it, as the console's status page shows them."""

import strawberry

from gateway import __version__
from gateway.records.health import HealthRecord
from schema.context import Info


@strawberry.type(description="How a system behind the gateway is.")
class UpstreamHealth:
    """One upstream's health."""

    name: str = strawberry.field(description="dynamodb, s3, builder, loki, prometheus or kubernetes.")
    healthy: bool = strawberry.field(description="Whether it answered as it should within 2 s.")
    latency_ms: float | None = strawberry.field(description="How long it took to answer, in ms.")
    detail: str | None = strawberry.field(description="What is wrong; null when it is healthy.")

    @classmethod
    def from_record(cls, record: HealthRecord) -> "UpstreamHealth":
        """Make the type of a record."""
        return cls(name=record.name, healthy=record.healthy, latency_ms=record.latency_ms, detail=record.detail)


@strawberry.type(description="The gateway and the systems behind it.")
class Platform:
    """The platform."""

    version: str = strawberry.field(default=__version__, description="The gateway's version.")

    @strawberry.field(description="The systems behind it; checked in parallel, each bounded to 2 s.")
    async def upstreams(self, info: Info) -> list[UpstreamHealth]:
        """Check them all."""
        records = await info.context.resources.health.check_all()
        return [UpstreamHealth.from_record(record) for record in records]


@strawberry.type
class PlatformQueries:
    """The root field of the platform."""

    @strawberry.field(
        description="The gateway and the systems behind it, as the console's status page shows them."
    )
    def platform(self) -> Platform:
        """Nothing is checked before it is asked for."""
        return Platform()
