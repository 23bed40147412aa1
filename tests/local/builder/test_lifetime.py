"""Tasks over time: two at once, what a restart knows, and what a crash leaves."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from gateway.local.builder.steps import StepTimeoutError, run_step
from tests.local.builder.stage import HELLO, Aws, Builder, StartBuilder

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAITS = "import time\n\ntime.sleep(60)\n"


async def statuses(builder: Builder, workspace: str) -> dict[str, str]:
    """Status by task, as the list has it."""
    answer = await builder.client.get(f"/api/v1/workspaces/{workspace}/tasks")
    return {task["task_id"]: task["status"] for task in answer.json()["tasks"]}


async def start_waiting(builder: Builder, workspace: str, count: int) -> list[str]:
    """Upload sources whose build waits; return their tasks when two are running."""
    tasks = [
        (await builder.upload("build", "app.py", WAITS, workspace_id=workspace))["task_id"] for _ in range(count)
    ]

    async def ask() -> dict[str, str]:
        return await statuses(builder, workspace)

    await builder.poll(ask, lambda seen: list(seen.values()).count("running") == min(count, 2))
    return tasks


async def test_third_build_is_pending_while_two_run(start_builder: StartBuilder, workspace: str) -> None:
    """Two builds at a time; the next one starts when one of them ends."""
    async with start_builder(step_timeout_s=3) as builder:
        tasks = await start_waiting(builder, workspace, 3)
        assert await statuses(builder, workspace) == dict(
            zip(tasks, ["running", "running", "pending"], strict=True)
        )
        await builder.follow(tasks[0], workspace)
        third = await builder.poll(
            lambda: builder.task(tasks[2], workspace), lambda task: task["status"] != "pending"
        )
        assert third[-1]["status"] == "running"


async def test_task_needs_its_workspace_after_a_restart(
    builder: Builder, start_builder: StartBuilder, workspace: str
) -> None:
    """A process that has not seen the task finds it in the table only, and only by workspace."""
    accepted = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace)
    path = f"/api/v1/tasks/{accepted['task_id']}"
    final = (await builder.follow(accepted["task_id"], workspace))[-1]
    assert (await builder.client.get(path)).json() == final
    async with start_builder() as restarted:
        assert (await restarted.client.get(path)).status_code == 404
        assert await restarted.task(accepted["task_id"], workspace) == final
        assert (await restarted.client.get(path)).json() == final


async def test_task_stays_running_when_its_builder_was_stopped(
    start_builder: StartBuilder, aws: Aws, workspace: str
) -> None:
    """What was under way is under way for ever: nothing takes it up, and its process is gone."""
    async with start_builder() as builder:
        (task_id,) = await start_waiting(builder, workspace, 1)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert [item["status"] for item in await aws.items(workspace)] == ["BUILDING"]
    async with start_builder() as restarted:
        assert (await restarted.task(task_id, workspace))["status"] == "running"
        assert await statuses(restarted, workspace) == {task_id: "running"}


async def test_tools_leave_nothing_outside_when_they_are_killed(
    start_builder: StartBuilder, workspace: str, tmp_path: Path
) -> None:
    """A tool's temporary folders are in the builder's own, which the next start empties."""
    source = "import os\nimport time\n\nos.mkdir(os.environ['TMPDIR'] + '/of-the-tool')\ntime.sleep(60)\n"
    left = tmp_path / "tmp" / "of-the-tool"

    async def look() -> dict[str, bool]:
        return {"left": left.exists()}

    async with start_builder(data_dir=tmp_path) as builder:
        await builder.upload("build", "app.py", source, workspace_id=workspace)
        await builder.poll(look, lambda seen: seen["left"])
    assert left.exists()
    async with start_builder(data_dir=tmp_path) as restarted:
        await restarted.client.get("/health")
        assert not left.exists()


async def test_seen_task_is_not_read_again_though_the_list_is(
    builder: Builder, start_builder: StartBuilder, workspace: str, tmp_path: Path
) -> None:
    """A second replica that saw a task running says so for ever; its list has what the table has."""
    accepted = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace)
    task_id = accepted["task_id"]
    async with start_builder(data_dir=tmp_path) as second:
        first_seen = await second.task(task_id, workspace)
        await builder.follow(task_id, workspace)
        assert await second.task(task_id, workspace) == first_seen
        assert await statuses(second, workspace) == {task_id: "completed"}
    assert first_seen["status"] in {"pending", "running"}


async def test_task_ends_when_table_and_bucket_are_gone(
    start_builder: StartBuilder, aws: Aws, workspace: str
) -> None:
    """A build whose result can't be stored fails over HTTP too, and the next one is not held up."""
    bucket, table = f"gone-{workspace}", f"gone-{workspace}"
    await aws.create(table, bucket)
    async with start_builder(bucket=bucket, table=table) as builder:
        source = HELLO.replace("from", "import time\n\ntime.sleep(2)\nfrom", 1)
        accepted = await builder.upload("build", "hello.py", source, workspace_id=workspace)
        await builder.poll(
            lambda: builder.task(accepted["task_id"], workspace), lambda task: task["status"] == "running"
        )
        await aws.dynamodb.delete_table(TableName=table)
        await aws.s3.delete_object(Bucket=bucket, Key=accepted["source_s3_path"].removeprefix(f"s3://{bucket}/"))
        await aws.s3.delete_bucket(Bucket=bucket)
        task = (await builder.follow(accepted["task_id"], workspace))[-1]
    assert (task["status"], task["result"]) == ("failed", None)
    assert task["error"].startswith("NoSuchBucket: ")


async def test_step_is_killed_with_all_it_started(tmp_path: Path) -> None:
    """The limit ends the process group; a grandchild that holds the pipes does not keep the step alive."""
    marker = tmp_path / "grandchild"
    script = f"(echo $$ > {marker}; exec sleep 60) & while true; do echo x; done"
    with pytest.raises(StepTimeoutError):
        await run_step(["sh", "-c", script], cwd=tmp_path, env={}, timeout_s=1)
    commands = await asyncio.to_thread(_command_lines)
    assert not any(str(marker) in command for command in commands)
    assert marker.read_text().strip()


async def test_step_keeps_the_end_of_its_output(tmp_path: Path) -> None:
    """Output beyond 64 KB is dropped from its beginning."""
    script = "i=0; while [ $i -lt 3000 ]; do echo 'a line of this output, number' $i; i=$((i+1)); done; exit 3"
    result = await run_step(["sh", "-c", script], cwd=tmp_path, env={}, timeout_s=20)
    assert result.returncode == 3
    assert len(result.stdout) == 64 * 1024
    assert result.stdout.endswith("number 2999\n")


async def test_step_has_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's own code runs in there: credentials stay outside."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    result = await run_step(["env"], cwd=tmp_path, env={"GIVEN": "1"}, timeout_s=20)
    names = set(re.findall(r"^(\w+)=", result.stdout, re.MULTILINE))
    assert {"PATH", "GIVEN"} <= names
    assert not any(name.startswith("AWS_") for name in names)


def _command_lines() -> list[str]:
    """The command lines of all processes, where the system has them as files."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text())
        except OSError:
            continue
    return lines
