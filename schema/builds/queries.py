"""Reading a build by its id."""

from typing import Annotated

import strawberry

from gateway.errors import NotFoundError
from gateway.services.validation import check_build_id
from schema.builds.loaders import BuildByIdLoader
from schema.builds.types import Build
from schema.context import Info


@strawberry.type
class BuildQueries:
    """The root fields of builds."""

    @strawberry.field(description="A build; null with a NOT_FOUND error where there is none.")
    async def build(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The build's id.")]
    ) -> Build | None:
        """Load the build."""
        record = await info.context.loader(BuildByIdLoader).load(check_build_id(id))
        if record is None:
            raise NotFoundError(f"There is no build {id}.", field="id")
        return Build.from_record(record)
