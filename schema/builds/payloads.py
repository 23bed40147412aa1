"""What the mutations of builds and deployments answer."""

import strawberry

from gateway.records.builder import ScaffoldResult
from schema.builds.types import Build, Deployment


@strawberry.type(description="The build that was started.")
class StartBuildPayload:
    """What the mutations that start a build answer."""

    build: Build = strawberry.field(description="The build as it is stored; follow it with `buildProgress`.")


@strawberry.type(description="The build that was cancelled.")
class CancelBuildPayload:
    """What cancelBuild answers."""

    build: Build = strawberry.field(description="The build as it is stored now.")


@strawberry.type(description="A SpinApp manifest, or why there is none.")
class ScaffoldSpinAppPayload:
    """What scaffoldSpinApp answers."""

    success: bool = strawberry.field(description="Whether the manifest could be made.")
    yaml_content: str | None = strawberry.field(description="The manifest, YAML.")
    file_path: str | None = strawberry.field(description="Where the Builder Service wrote it.")
    error: str | None = strawberry.field(description="Why there is none.")

    @classmethod
    def from_record(cls, record: ScaffoldResult) -> "ScaffoldSpinAppPayload":
        """Make the payload of a record."""
        return cls(
            success=record.success,
            yaml_content=record.yaml_content,
            file_path=record.file_path,
            error=record.error,
        )


@strawberry.type(description="What was deployed.")
class DeploySpinAppPayload:
    """What deploySpinApp answers."""

    deployment: Deployment = strawberry.field(
        description="The deployment; stored where a function was named, without an endpoint until it is found."
    )
