"""What clients send about builds and deployments."""

from typing import TypeVar

import strawberry
from starlette.datastructures import UploadFile
from strawberry.file_uploads import Upload
from strawberry.scalars import JSON

from gateway.errors import InvalidInputError
from gateway.records.builder import DeployRequest
from gateway.services.uploads import SourceUpload

T = TypeVar("T")

_FILE = "A Python module (.py), or a .zip with one and its spin.toml; sent as the multipart request spec says."
_CPU = "A Kubernetes quantity of CPU, such as 500m."
_MEMORY = "A Kubernetes quantity of memory, such as 256Mi."


@strawberry.input(description="A source to be built.")
class StartBuildInput:
    """A source to be built."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace the build belongs to.")
    function_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The function it is for, if any."
    )
    app_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="The app's name. Default: the file's, without its suffix."
    )
    file: Upload = strawberry.field(description=_FILE)


@strawberry.input(description="A source to be built, and its image to be pushed.")
class StartBuildAndPushInput:
    """A source to be built and pushed."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace the build belongs to.")
    function_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The function it is for, if any."
    )
    app_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="The app's name. Default: the file's, without its suffix."
    )
    file: Upload = strawberry.field(description=_FILE)
    registry_url: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Registry and repository, without a scheme. Default: the platform's own.",
    )
    username: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The registry's user. Leave out both credentials to use the builder's own IAM role (IRSA).",
    )
    password: str | None = strawberry.field(
        default=strawberry.UNSET, description="The user's password or token; it is neither stored nor logged."
    )
    tag: str | None = strawberry.field(
        default=strawberry.UNSET, description="The image's tag. Default: `task-` and the build's id."
    )


@strawberry.input(description="An image to be pushed, of a source that was built before.")
class StartPushInput:
    """A source to be pushed."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace the build belongs to.")
    registry_url: str = strawberry.field(description="Registry and repository, without a scheme.")
    username: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The registry's user. Leave out both credentials to use the builder's own IAM role (IRSA).",
    )
    password: str | None = strawberry.field(
        default=strawberry.UNSET, description="The user's password or token; it is neither stored nor logged."
    )
    tag: str | None = strawberry.field(
        default=strawberry.UNSET, description="The image's tag. Default: `task-` and the build's id."
    )
    source_path: str = strawberry.field(description="`s3://…` of a source that was built before.")


@strawberry.input(description="The build to cancel.")
class CancelBuildInput:
    """The build to cancel."""

    id: strawberry.ID = strawberry.field(description="The build; it must not be finished.")


@strawberry.input(description="An image to make a SpinApp manifest of.")
class ScaffoldSpinAppInput:
    """An image to make a manifest of."""

    image_ref: str = strawberry.field(description="The image's reference.")
    component: str | None = strawberry.field(
        default=strawberry.UNSET, description="The component, where the image has several."
    )
    replicas: int = strawberry.field(default=1, description="How many pods.")
    output_path: str | None = strawberry.field(
        default=strawberry.UNSET, description="Where the Builder Service is to write the manifest."
    )


@strawberry.input(description="An image to be deployed.")
class DeploySpinAppInput:
    """An image to be deployed."""

    namespace: str = strawberry.field(default="default", description="One of the platform's function namespaces.")
    image_ref: str = strawberry.field(description="The image's reference.")
    function_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The function it is of; without one nothing is stored."
    )
    app_name: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The SpinApp's name, which must not be another function's. Default: the function's, else the "
        "image's.",
    )
    enable_autoscaling: bool = strawberry.field(
        default=True, description="Whether the number of pods follows the load."
    )
    replicas: int | None = strawberry.field(
        default=strawberry.UNSET, description="How many pods; only without autoscaling."
    )
    use_spot: bool = strawberry.field(default=True, description="Whether it may run on spot nodes.")
    service_account: str | None = strawberry.field(
        default=strawberry.UNSET, description="The Kubernetes service account of its pods."
    )
    cpu_limit: str | None = strawberry.field(default=strawberry.UNSET, description=_CPU)
    memory_limit: str | None = strawberry.field(default=strawberry.UNSET, description=_MEMORY)
    cpu_request: str | None = strawberry.field(default=strawberry.UNSET, description=_CPU)
    memory_request: str | None = strawberry.field(default=strawberry.UNSET, description=_MEMORY)
    custom_tolerations: JSON | None = strawberry.field(
        default=strawberry.UNSET, description="A list of Kubernetes tolerations, in place of the platform's."
    )
    custom_affinity: JSON | None = strawberry.field(
        default=strawberry.UNSET, description="A Kubernetes affinity object, in place of the platform's."
    )

    def to_request(self) -> DeployRequest:
        """What goes to the Builder Service, without what was left out."""
        return DeployRequest(
            namespace=self.namespace,
            image_ref=self.image_ref,
            app_name=given(self.app_name),
            function_id=given(self.function_id),
            enable_autoscaling=self.enable_autoscaling,
            replicas=given(self.replicas),
            use_spot=self.use_spot,
            service_account=given(self.service_account),
            cpu_limit=given(self.cpu_limit),
            memory_limit=given(self.memory_limit),
            cpu_request=given(self.cpu_request),
            memory_request=given(self.memory_request),
            custom_tolerations=given(self.custom_tolerations),
            custom_affinity=given(self.custom_affinity),
        )


@strawberry.input(description="A function to be deployed.")
class DeployFunctionInput:
    """A function to be deployed."""

    function_id: strawberry.ID = strawberry.field(description="The function.")
    namespace: str = strawberry.field(default="default", description="One of the platform's function namespaces.")
    enable_autoscaling: bool = strawberry.field(
        default=True, description="Whether the number of pods follows the load."
    )
    replicas: int | None = strawberry.field(
        default=strawberry.UNSET, description="How many pods; only without autoscaling."
    )
    use_spot: bool = strawberry.field(default=True, description="Whether it may run on spot nodes.")
    cpu_limit: str | None = strawberry.field(default=strawberry.UNSET, description=_CPU)
    memory_limit: str | None = strawberry.field(
        default=strawberry.UNSET, description=_MEMORY + " Default: the function's memory."
    )
    cpu_request: str | None = strawberry.field(default=strawberry.UNSET, description=_CPU)
    memory_request: str | None = strawberry.field(default=strawberry.UNSET, description=_MEMORY)


@strawberry.input(description="What to roll back, and to where.")
class RollbackFunctionInput:
    """What to roll back."""

    function_id: strawberry.ID = strawberry.field(description="The function.")
    deployment_id: strawberry.ID = strawberry.field(description="The earlier deployment whose image is wanted.")


def given(value: T | None) -> T | None:
    """What was sent; what was left out is None."""
    return None if value is strawberry.UNSET else value


def to_upload(file: object) -> SourceUpload:
    """The file as the services take it; a request that is not multipart has none."""
    if not isinstance(file, UploadFile):
        message = "file must be an uploaded file; send the request as multipart/form-data."
        raise InvalidInputError(message, field="file")
    return SourceUpload(filename=file.filename, file=file.file, size_bytes=file.size or 0)
