"""A thousand builds at once, on two replicas: all end, and the builder is asked once a build and interval."""

import asyncio
import json
from itertools import pairwise

import pytest

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import Platform, Replica
from tests.builds.samples import eventually

BUILDS = 1000
INTERVAL_S = 5.0
"""As it is by default."""
PATIENCE_S = 300
"""The table is a stand-in in one thread, and the machine may be busy."""
CLIENTS = 20
"""Of each replica: that many start a build at a time."""

START = """mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id } } }"""


async def start(replica: Replica, workspace_id: str, count: int) -> list[str]:
    """Start builds, one after the other; their ids."""
    given = {"workspaceId": workspace_id, "appName": "hello", "file": None}
    operations = json.dumps({"query": START, "variables": {"input": given}})
    form = {"operations": operations, "map": json.dumps({"0": ["variables.input.file"]})}
    headers = {"graphql-require-preflight": "1"}
    ids = []
    for _ in range(count):
        files = {"0": ("hello.py", b"print('hello')\n")}
        sent = replica.client.post("/graphql", data=form, files=files, headers=headers, timeout=PATIENCE_S)
        answer = (await sent).json()
        assert "errors" not in answer, answer
        ids.append(answer["data"]["startBuild"]["build"]["id"])
    return ids


@pytest.mark.ci
async def test_start_when_there_are_a_thousand(shared: Platform, builder: PacedBuilder) -> None:
    """None is lost, none is polled twice in an interval, by whomever."""
    builder.default = "building"
    # The table is a stand-in in one thread: a thousand renewals take it many seconds.
    told = {"BUILD_POLL_INTERVAL_S": f"{INTERVAL_S}", "BUILD_LEASE_S": "60"}
    replicas = await shared.replicas("one", "other", told=told)
    workspace_id = await replicas[0].create_workspace()
    each = BUILDS // len(replicas) // CLIENTS
    started = await asyncio.gather(
        *(start(replica, workspace_id, each) for replica in replicas for _ in range(CLIENTS))
    )
    ids = [build_id for some in started for build_id in some]
    assert len(set(ids)) == BUILDS

    async def all_polled_twice() -> bool:
        return len(builder.polls) == BUILDS and all(len(times) >= 2 for times in builder.polls.values())

    await eventually(all_polled_twice, seconds=PATIENCE_S)
    builder.default = "done"

    async def all_done() -> bool:
        return await shared.dynamo.builds.leases.list_active() == []

    await eventually(all_done, seconds=PATIENCE_S)
    found = await shared.dynamo.builds.get_many(ids)
    assert {build.status.name for build in found.values()} == {"DONE"}
    assert len(builder.uploads) == BUILDS
    pauses = sorted(later - sooner for times in builder.polls.values() for sooner, later in pairwise(times))
    assert pauses[0] > INTERVAL_S * 0.8, pauses[:10]
