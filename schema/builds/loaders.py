"""What batches the reading of builds and deployments."""

from collections.abc import Mapping

from gateway.records.builds import BuildRecord, DeploymentRecord
from schema.context import Loader


class BuildByIdLoader(Loader[str, BuildRecord]):
    """Builds by id, as they are stored now."""

    async def load_batch(self, keys: tuple[str, ...]) -> Mapping[str, BuildRecord | Exception]:
        """One BatchGetItem for each 100, and one for the pointers of those that are new to the process."""
        return await self.resources.dynamo.builds.get_many(keys)


class DeploymentByIdLoader(Loader[tuple[str, str], DeploymentRecord]):
    """Deployments by workspace id and deployment id."""

    async def load_batch(
        self, keys: tuple[tuple[str, str], ...]
    ) -> Mapping[tuple[str, str], DeploymentRecord | Exception]:
        """One BatchGetItem for each 100."""
        return await self.resources.dynamo.deployments.get_many(frozenset(keys))
