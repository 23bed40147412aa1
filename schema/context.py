"""What resolvers reach through `info.context`: the gateway's parts, and dataloaders made on first use.

Strawberry makes a context once per WebSocket connection, so that loaders on it would serve stale data to
later operations: every operation gets a context of its own from `for_operation`, and a subscription
calls `clear_loaders` before each event.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import strawberry
from aiodataloader import DataLoader

from schema.executor import Plans

if TYPE_CHECKING:
    from gateway.builds.feed import BuildFeed
    from gateway.services.cancellations import CancellationService
    from gateway.services.deletions import DeletionService
    from gateway.services.deployments import DeploymentService
    from gateway.services.execution_feed import ExecutionFeed
    from gateway.services.functions import FunctionService
    from gateway.services.health import HealthService
    from gateway.services.invocations import InvocationService
    from gateway.services.rollbacks import RollbackService
    from gateway.services.sources import StoredSources
    from gateway.services.starts import BuildStartService
    from gateway.services.workspaces import WorkspaceService
    from gateway.upstream.dynamo import Dynamo
    from gateway.upstream.loki import Loki, LokiTail
    from gateway.upstream.prometheus import Prometheus

K = TypeVar("K")
V = TypeVar("V")
LoaderT = TypeVar("LoaderT", bound="Loader[Any, Any]")
Fields = Mapping[str, Set[str]]
"""Names of fields by the type that they are selected on, anywhere in a document, behind `@skip` as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The parts of the gateway that resolvers use; made once, by the composition root."""

    dynamo: "Dynamo"
    sources: "StoredSources"
    loki: "Loki"
    tails: "LokiTail"
    prometheus: "Prometheus"
    workspaces: "WorkspaceService"
    functions: "FunctionService"
    deletions: "DeletionService"
    invocations: "InvocationService"
    starts: "BuildStartService"
    deployments: "DeploymentService"
    rollbacks: "RollbackService"
    cancellations: "CancellationService"
    health: "HealthService"
    feed: "BuildFeed"
    execution_feed: "ExecutionFeed"
    base_url: str
    """Where people outside reach this gateway, without a trailing slash."""


@dataclass(slots=True)
class Context:
    """One operation's context."""

    resources: Resources
    plans: Plans | None = None
    """How the operation's document reads plain columns; set once it is prepared."""
    fields: Fields | None = None
    """What the operation's document selects of each type; None where that is not known. Set like `plans`."""
    _loaders: dict[type["Loader[Any, Any]"], "Loader[Any, Any]"] = field(default_factory=dict)

    def loader(self, cls: type[LoaderT]) -> LoaderT:
        """The operation's loader of this class, made on first use."""
        found = self._loaders.get(cls)
        if found is None:
            found = self._loaders[cls] = cls(self)
        return found  # type: ignore[return-value]  # the mapping pairs each class with its own instance

    def for_operation(self) -> "Context":
        """A context with the same resources and fresh loaders."""
        return Context(self.resources)

    def clear_loaders(self) -> None:
        """Forget what was loaded, so that the next event reads what is stored now."""
        self._loaders.clear()


Info = strawberry.Info[Context, None]


class Loader(DataLoader[K, V | None], Generic[K, V]):
    """A dataloader whose batch read answers a mapping: what is missing is absent, and loads as None."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.resources = context.resources

    async def batch_load_fn(self, keys: Sequence[K]) -> list[V | None]:
        """Restore the order that dataloaders ask for; exceptions in the mapping fail their key alone."""
        found = await self.load_batch(tuple(keys))
        return [found.get(key) for key in keys]  # type: ignore[misc]  # exceptions are rejections

    @abstractmethod
    async def load_batch(self, keys: tuple[K, ...]) -> Mapping[K, V | Exception]:
        """Read all keys at once, with as few upstream calls as the upstream allows."""


async def load_each(keys: Iterable[K], load: Callable[[K], Awaitable[V]]) -> dict[K, V | Exception]:
    """Load each key by a call of its own, all at once; one that fails fails alone."""
    wanted = list(keys)
    answers = await asyncio.gather(*(load(key) for key in wanted), return_exceptions=True)
    found: dict[K, V | Exception] = {}
    for key, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, BaseException) and not isinstance(answer, Exception):
            raise answer
        found[key] = answer
    return found
