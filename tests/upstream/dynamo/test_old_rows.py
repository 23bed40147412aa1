"""Rows that others wrote, in any state: read as far as they say something, passed over where they do not."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.records.builds import BuildStatus, DeploymentRecord
from gateway.records.execution_logs import ExecutionStatus, LogLevel
from gateway.records.functions import FunctionStatus, HttpMethod
from gateway.upstream.dynamo import Dynamo, rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import to_build, to_item, to_task
from gateway.upstream.dynamo.deployments import to_deployment, to_deployment_item
from gateway.upstream.dynamo.execution_logs import to_execution_log
from gateway.upstream.dynamo.expressions import Put
from gateway.upstream.dynamo.figures import to_figures
from gateway.upstream.dynamo.function_rows import to_function
from gateway.upstream.dynamo.workspaces import to_workspace
from tests.builds.samples import a_build, a_spec
from tests.migration.former import build_row, function_row, log_row, old_row, task_id, task_row, workspace_row

WS, FN = "ws-00000001", "fn-00000001"
NOW = datetime(2025, 9, 1, 12, tzinfo=UTC)
TASK = task_id("one")
DEPLOYMENT = DeploymentRecord(
    id=f"{FN}-1756728000000000",
    workspace_id=WS,
    function_id=FN,
    app_name="hello",
    namespace="default",
    image_url="registry/hello:1",
    service_name=None,
    service_status="found",
    endpoint="hello.default.svc.cluster.local",
    enable_autoscaling=True,
    use_spot=False,
    deployed_at=NOW,
    deploy=a_spec(),
)
Reader = Callable[[Item], Any]

KINDS: dict[str, tuple[Item, Reader]] = {
    "workspace": (workspace_row(WS), to_workspace),
    "function": (function_row(WS, FN), to_function),
    "execution log": (log_row(FN, 1), to_execution_log),
    "former build": (build_row(WS, "former", 0), to_build),
    "task": (task_row(WS, TASK, 0), to_build),
    "task as a task": (task_row(WS, TASK, 0), to_task),
    "oldest build": (old_row(WS, TASK, 0), to_build),
    "our build": (to_item(a_build(deploy=a_spec(), created_at=NOW, updated_at=NOW)), to_build),
    "deployment": (to_deployment_item(DEPLOYMENT), to_deployment),
    "figures": (
        {"PK": f"WS#{WS}", "SK": "WSSTATS", "i487980": 3, "d487980": Decimal("1.5")},
        lambda item: to_figures(item, NOW),
    ),
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**38), 10**38),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.binary(max_size=8),
    st.sampled_from(["DONE", "WARNING", "2025-13-01", "0001-01-01T00:00:00+09:00", "1756684800", "1e400", "nan"]),
    st.sets(st.text(max_size=3), min_size=1, max_size=3),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_mutation_is_read_or_passed_over(kind: str, data: st.DataObject) -> None:
    """Whatever stands in whatever attribute, nothing is raised, and what is read can be answered."""
    item, read = KINDS[kind]
    names = sorted(item.keys() - {"PK", "SK"})
    changes = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=8), values, max_size=4))
    removed = data.draw(st.sets(st.sampled_from(names), max_size=3))
    mutated = {name: value for name, value in (item | changes).items() if name not in removed} | {
        name: item[name] for name in ("PK", "SK")
    }
    record = rows.read_row(mutated, read)
    for name in ("memory", "timeout", "function_count", "status_code", "revision", "sequence"):
        value = getattr(record, name, 0)
        assert type(value) is int
        assert abs(value) <= 2**31
    for name in ("id", "name", "description", "runtime", "app_name"):
        assert isinstance(getattr(record, name, ""), str | None)
    for name in ("created_at", "updated_at", "last_modified", "timestamp", "deployed_at"):
        time = getattr(record, name, None)
        assert time is None or time.utcoffset() is not None


@pytest.mark.parametrize("kind", KINDS)
def test_row_with_unknown_attributes_is_read_as_without(kind: str) -> None:
    """What a newer or another version adds is none of this version's business."""
    item, read = KINDS[kind]
    assert read(item) is not None
    assert read(item | {"somethingNew": {"a": [1]}}) == read(item)


def test_function_in_other_spellings() -> None:
    """Methods in any case, one alone, as a set, or unknown; statuses in any case or unknown; numbers as text."""
    row = function_row(WS, FN, memory="512", timeout="60", status="Disabled", httpMethods={"post", "Get", "BREW"})
    function = to_function(row | {"environmentVariables": {"A": 1, "B": None, "C": True}})
    assert (function.memory, function.timeout, function.status) == (512, 60, FunctionStatus.DISABLED)
    assert function.http_methods == (HttpMethod.GET, HttpMethod.POST)
    assert function.environment_variables == {"A": "1", "C": "True"}
    odd = to_function(function_row(WS, FN, status="running", httpMethods="patch", runtime=None))
    assert (odd.status, odd.http_methods, odd.runtime) == (
        FunctionStatus.ACTIVE,
        (HttpMethod.PATCH,),
        "Python 3.12",
    )
    assert to_function(function_row(WS, FN, httpMethods=["BREW"])).http_methods == (HttpMethod.GET,)


@pytest.mark.parametrize("stored", ["hello.default.svc.cluster.local", "http://hello.default.svc.cluster.local"])
def test_function_whose_url_has_no_scheme(stored: str) -> None:
    """The former backend stored what the builder answered; it is called by HTTP."""
    function = to_function(function_row(WS, FN) | {"invocationUrl": stored})
    assert function.invocation_url == "http://hello.default.svc.cluster.local"


def test_execution_log_in_other_spellings() -> None:
    """A status that is not known is what the function answered, a level in anybody's spelling."""
    assert to_execution_log(log_row(FN, 1, status="OK", statusCode="204")).status is ExecutionStatus.SUCCESS
    assert to_execution_log(log_row(FN, 1, status=None, statusCode=500)).status is ExecutionStatus.ERROR
    levels = ["warning", "Error", "FATAL", "debug", None, 7]
    assert [to_execution_log(log_row(FN, 1, level=level)).level for level in levels] == [
        LogLevel.WARN,
        LogLevel.ERROR,
        LogLevel.ERROR,
        LogLevel.INFO,
        LogLevel.INFO,
        LogLevel.INFO,
    ]


def test_ids_are_those_of_the_key() -> None:
    """An id that a row says of itself may be wrong; by the key's it is read again."""
    assert to_function(function_row(WS, FN, id=None, workspaceId="elsewhere")).id == FN
    assert to_build(task_row(WS, TASK, 0, task_id=7)).id == TASK
    assert to_workspace(workspace_row(WS, id="")).id == WS
    old = to_build(old_row(WS, TASK, 0))
    assert (old.id, old.workspace_id, old.status) == (TASK, WS, BuildStatus.DONE)


def test_row_is_logged_once_in_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """A page that shows a broken row may be read every second."""
    row = function_row(WS, "fn-once0000", memory="much")
    with caplog.at_level(logging.WARNING):
        assert [rows.read_row(row, to_function) for _ in range(100)] == [None] * 100
    (record,) = caplog.records
    assert (
        record.getMessage() == "passed over the row WS#ws-00000001 / FN#fn-once0000: memory is no number: 'much'"
    )


async def test_page_with_broken_rows_has_the_others(dynamo: Dynamo) -> None:
    """Each list passes over what it can't read, and `first` counts what it can."""
    index = {"GSI1PK": f"WS#{WS}#BUILDS"}
    for number in range(3):
        for broken in ({}, {"memory": [], "createdAt": {}, "created_at": "never", "duration": "long"}):
            mark = f"{number}{'b' if broken else 'a'}"
            for row in (
                function_row(WS, f"fn-000000{mark}"),
                build_row(WS, mark, 0, **index, GSI1SK=mark),
                log_row(FN, number, SK=f"LOG#2025-09-01T12:00:0{mark}#{mark}"),
            ):
                await dynamo.table.write(Put(item=row | broken))
    functions = await dynamo.functions.list_page(WS, first=3, after=None)
    assert [function.id for function in functions.items] == ["fn-0000000a", "fn-0000001a", "fn-0000002a"]
    builds = await dynamo.builds.list_of_workspace(WS, first=3, after=None)
    assert [build.id for build in builds.items] == ["2a", "1a", "0a"]
