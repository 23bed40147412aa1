"""Functions of before: pointers, figures, and the fields that their rows lack."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.expressions import Check, Condition, Put, Update, Write, all_of, exists, not_exists
from gateway.upstream.dynamo.keys import Key, function_figures_key, function_key, function_pointer_key
from gateway.upstream.dynamo.migration.amendments import Amendments, unchanged
from gateway.upstream.dynamo.migration.pace import patiently
from gateway.upstream.dynamo.places import claim, listing
from gateway.upstream.dynamo.table import Table

ATTRIBUTES = (
    "PK",
    "SK",
    "revision",
    "lastDeployed",
    "invocationUrl",
    "app_name",
    "namespace",
    "active_build_id",
)
POINTERS = "pointers from a function to its workspace"
FIGURES = "rows for the figures of a function"
REVISIONS = "functions given a revision"
NAMED = "functions given the name of their SpinApp"
TRIES = 5
"""Of one function whose row others change at the same time."""

SpinApps = defaultdict[Place, list[tuple[Key, Item]]]
"""Functions by the SpinApp that they run in, as far as their rows say."""


async def complete_functions(
    table: Table, amendments: Amendments, workspace_id: str, functions: Sequence[Item]
) -> None:
    """Give a workspace's functions what they lack."""
    ids = [item["SK"].partition("#")[2] for item in functions]
    keys = [function_pointer_key(id_) for id_ in ids]
    keys += [function_figures_key(workspace_id, id_) for id_ in ids]
    found = await patiently(lambda: table.batch_get(keys, attributes=("PK",)), amendments.report)
    for function_id, item in zip(ids, functions, strict=True):
        await _complete(table, amendments, workspace_id, function_id, item, frozenset(found))


async def _complete(
    table: Table,
    amendments: Amendments,
    workspace_id: str,
    function_id: str,
    item: Item | None,
    found: frozenset[Key],
) -> None:
    key = function_key(workspace_id, function_id)
    pointer, figures = function_pointer_key(function_id), function_figures_key(workspace_id, function_id)
    for _ in range(TRIES):
        if item is None:
            return  # deleted meanwhile
        writes, what = _row_changes(key, item)
        if pointer not in found:
            row = pointer.as_item() | {"workspace_id": workspace_id}
            writes.append(Put(item=row, condition=not_exists()))
            what.append(POINTERS)
        if figures not in found:
            writes.append(Put(item=figures.as_item(), condition=not_exists()))
            what.append(FIGURES)
        if await amendments.make(writes, *what):
            return
        again = await patiently(lambda: table.batch_get([key, pointer, figures]), amendments.report)
        item, found = again.get(key), frozenset(again)
    amendments.left["functions that kept changing"] += 1


def _row_changes(key: Key, item: Item) -> tuple[list[Write], list[str]]:
    """The write to the function's own row, or that it has to be there; what was deployed is taken as current."""
    if isinstance(item.get("revision"), int) or item.get("active_build_id"):
        return [Check(key=key, condition=exists())], []
    revisions = {"revision": 1} | ({"deployed_revision": 1} if item.get("lastDeployed") else {})
    condition = all_of(exists(), *unchanged(item, ("revision", "active_build_id", "lastDeployed")))
    return [Update(key=key, set=revisions, condition=condition)], [REVISIONS]


def note_spinapp(spinapps: SpinApps, item: Item, namespaces: Sequence[str]) -> None:
    """Note which SpinApp a function runs in: as its row says, else as the address that it was deployed to does."""
    key = Key(item["PK"], item["SK"])
    name, namespace = rows.optional_text(item, "app_name"), rows.optional_text(item, "namespace")
    if name and namespace:
        spinapps[Place(namespace, name)].append((key, item))
        return
    url = rows.optional_text(item, "invocationUrl")
    if url is None or not item.get("lastDeployed"):
        return
    place = Place.of_url(url, namespaces)
    if place is not None:
        spinapps[place].append((key, item))


async def name_spinapps(amendments: Amendments, spinapps: SpinApps) -> None:
    """Store on functions the SpinApp that is theirs alone: the next deploy updates it, a delete removes it.

    It is claimed for them, so that no other function is deployed as it. Two of one name overwrote each other in
    the former backend; a delete of one would end the other.
    """
    for place, functions in spinapps.items():
        unnamed = [(key, item) for key, item in functions if not item.get("app_name")]
        if len(functions) > 1:
            amendments.left["functions that share a SpinApp with another"] += len(unnamed)
            continue
        for key, item in unnamed:
            seen: list[Condition] = unchanged(item, ("app_name", "invocationUrl"))
            names: dict[str, Any] = {"app_name": place.app_name, "namespace": place.namespace}
            id_ = key.sk.partition("#")[2]
            named = Update(key=key, set=names, condition=all_of(exists(), *seen))
            await amendments.make([named, claim(id_, place), listing(id_, place)], NAMED)
