"""The table's own operations: how many requests they are."""

from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Put
from gateway.upstream.dynamo.keys import Key


async def test_batch_get_of_more_keys_than_one_request_takes(dynamo: Dynamo) -> None:
    """250 keys, each asked for twice, are three BatchGetItems; those that are there come back, each by its key."""
    keys = [Key("a", f"{number:03}") for number in range(250)]
    for key in keys[::10]:
        await dynamo.table.write(Put(item=key.as_item() | {"name": key.sk}))
    with recording_calls() as calls:
        found = await dynamo.table.batch_get(keys + keys, attributes=("name",))
    assert [call.operation for call in calls] == ["BatchGetItem"] * 3
    assert found == {key: {**key.as_item(), "name": key.sk} for key in keys[::10]}
