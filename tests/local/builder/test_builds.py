"""Building, over HTTP: what a task goes through and what comes out, in both dialects, and what is refused when."""

import asyncio
import tarfile
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from gateway.local.builder.config import Dialect
from gateway.local.registry import read_image
from tests.local.builder.stage import HELLO, MANIFEST, Aws, Builder, StartBuilder, zipped

# One stand-in and one loop for all tests: starting one costs 0.4 s.
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_upload_is_accepted_with_its_source_in_s3(builder: Builder, aws: Aws, workspace: str) -> None:
    """The 202 names the builder's own task and where the source is."""
    accepted = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace)
    task_id = accepted["task_id"]
    assert str(uuid.UUID(task_id)) == task_id
    assert accepted == {
        "task_id": task_id,
        "status": "pending",
        "message": "Build task created",
        "source_s3_path": f"s3://{aws.bucket}/build-sources/{workspace}/{task_id}/hello.py",
    }
    assert await aws.read(accepted["source_s3_path"]) == HELLO.encode()


async def test_statuses_are_the_running_versions_when_it_is_asked_for(
    builder: Builder, aws: Aws, workspace: str
) -> None:
    """Only `result` tells pushing from building; the image is `image_uri`, its registry the builder's."""
    accepted = await builder.upload(
        "build-and-push", "hello.py", HELLO, workspace_id=workspace, tag="t1", registry_url="ignored.io/x"
    )
    task_id = accepted["task_id"]
    seen = await builder.follow(task_id, workspace)
    wasm_path = f"s3://{aws.bucket}/build-artifacts/{task_id}/hello.wasm"
    assert [task["status"] for task in seen if task["result"] is None] in (["pending", "running"], ["running"])
    assert {task["status"] for task in seen if task["result"] and not task["result"]["image_uri"]} <= {"running"}
    assert seen[-1] == {
        "task_id": task_id,
        "status": "completed",
        "result": {"wasm_path": wasm_path, "image_uri": "registry.local/functions:t1"},
        "error": None,
    }


async def test_statuses_are_the_documented_ones_when_it_is_asked_for(
    start_builder: StartBuilder, aws: Aws, workspace: str
) -> None:
    """As documented, registry_url is used, the phase is told, and the image is `image_url`."""
    async with start_builder(dialect=Dialect.DOCUMENTED) as builder:
        accepted = await builder.upload(
            "build-and-push",
            "hello.py",
            HELLO,
            workspace_id=workspace,
            tag="t2",
            registry_url="registry.local/mine",
        )
        seen = await builder.follow(accepted["task_id"], workspace)
    order = ["pending", "building", "pushing", "done"]
    statuses = [task["status"] for task in seen]
    assert "building" in statuses
    assert sorted(statuses, key=order.index) == statuses
    assert seen[-1] == {
        "task_id": accepted["task_id"],
        "status": "done",
        "result": {
            "wasm_path": f"s3://{aws.bucket}/build-artifacts/{accepted['task_id']}/hello.wasm",
            "image_url": "registry.local/mine:t2",
            "file_path": None,
        },
        "error": None,
    }


async def test_item_is_the_builders_own(builder: Builder, aws: Aws, workspace: str) -> None:
    """Capital status, naive UTC, no NULLs, and a source_code_path that names another task."""
    accepted = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace, app_name="My App")
    task_id = accepted["task_id"]
    await builder.follow(task_id, workspace)
    (item,) = await aws.items(workspace)
    created, updated = (datetime.fromisoformat(item.pop(name)) for name in ("created_at", "updated_at"))
    assert created.tzinfo is None
    assert created < updated
    wrong = item.pop("source_code_path")
    assert wrong.startswith(f"s3://{aws.bucket}/build-sources/{workspace}/")
    assert wrong != accepted["source_s3_path"]
    assert item == {
        "PK": f"WS#{workspace}",
        "SK": f"BUILD#{task_id}",
        "Type": "BuildTask",
        "task_id": task_id,
        "workspace_id": workspace,
        "app_name": "My App",
        "status": "DONE",
        "wasm_path": f"s3://{aws.bucket}/build-artifacts/{task_id}/hello.wasm",
    }


async def test_list_reads_the_table_when_others_write_to_it(builder: Builder, aws: Aws, workspace: str) -> None:
    """The list has the tasks of every writer, newest first, and what only the table knows."""
    accepted = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace)
    await builder.follow(accepted["task_id"], workspace)
    await aws.put_item(
        PK={"S": f"WS#{workspace}"},
        SK={"S": "BUILD#AAAAAAAAAAAAAAAAAAAAAA"},
        task_id={"S": "AAAAAAAAAAAAAAAAAAAAAA"},
        status={"S": "pushing"},
        error_message={"NULL": True},
        created_at={"S": "2020-01-01T00:00:00+09:00"},
    )
    answer = (await builder.client.get(f"/api/v1/workspaces/{workspace}/tasks")).json()
    assert answer["workspace_id"] == workspace
    assert answer["count"] == 2
    newest, oldest = answer["tasks"]
    assert newest["task_id"] == accepted["task_id"]
    assert newest["status"] == "completed"
    assert newest["app_name"] == "hello"
    assert newest["created_at"] < newest["updated_at"]
    assert oldest == {
        "task_id": "AAAAAAAAAAAAAAAAAAAAAA",
        "status": "pushing",
        "app_name": "",
        "created_at": "2020-01-01T00:00:00+09:00",
        "updated_at": "",
        "result": None,
        "error": None,
    }


async def test_image_carries_manifest_and_source_when_a_zip_was_sent(
    builder: Builder, aws: Aws, workspace: str
) -> None:
    """The zip's own spin.toml is the image's config, environment included; the layer is the artifact."""
    upload = zipped(spin__toml=MANIFEST, hello__py=HELLO, **{"lib/names__py": "NAMES = 1\n"})
    accepted = await builder.upload("build-and-push", "src.zip", upload, workspace_id=workspace, tag="zip")
    task = (await builder.follow(accepted["task_id"], workspace))[-1]
    assert task["error"] is None
    assert task["result"]["wasm_path"].endswith("/packed.wasm")
    image = read_image(builder.config.registry, task["result"]["image_uri"])
    assert image.config["component"]["packed"]["environment"] == {"GREETING": "hi", "EMPTY": ""}
    assert image.media_type == "application/vnd.blue.python.source.v1.tar"
    assert image.layer.read_bytes() == await aws.read(task["result"]["wasm_path"])
    with tarfile.open(image.layer) as archive:
        assert archive.getnames() == ["hello.py", "lib", "lib/names.py", "spin.toml"]


async def test_names_are_stripped_when_one_file_was_sent(builder: Builder, workspace: str) -> None:
    """Spaces, `-` and `_` of the file's stem are in neither the app's nor the module's name."""
    accepted = await builder.upload("build-and-push", "My-hello_fn 1.py", HELLO, workspace_id=workspace)
    task = (await builder.follow(accepted["task_id"], workspace))[-1]
    assert task["result"]["wasm_path"].endswith("/Myhellofn1.wasm")
    image = read_image(builder.config.registry, "registry.local/functions:latest")
    assert image.config["component"]["Myhellofn1"]["build"]["command"] == (
        "componentize-py -w spin-http componentize Myhellofn1 -o app.wasm"
    )


async def test_push_builds_from_the_source_in_s3_when_app_dir_is_nowhere(builder: Builder, workspace: str) -> None:
    """A push task downloads what an earlier upload stored, and pushes to the registry it names."""
    first = await builder.upload("build", "hello.py", HELLO, workspace_id=workspace)
    await builder.follow(first["task_id"], workspace)
    body = {
        "registry_url": "registry.local/pushed",
        "username": "",
        "password": "",
        "app_dir": "/nonexistent",
        "workspace_id": workspace,
        "tag": "p1",
        "s3_source_path": first["source_s3_path"],
    }
    answer = await builder.client.post("/api/v1/push", json=body)
    assert answer.status_code == 202
    assert answer.json()["source_s3_path"] is None
    task = (await builder.follow(answer.json()["task_id"], workspace))[-1]
    assert task["result"]["image_uri"] == "registry.local/pushed:p1"


async def test_push_takes_its_working_directory_when_app_dir_is_empty(builder: Builder, workspace: str) -> None:
    """An empty app_dir is the builder's own folder, whatever source is named."""
    body = {"registry_url": "registry.local/x", "username": "", "password": "", "app_dir": ""}
    body |= {"workspace_id": workspace, "s3_source_path": "s3://nowhere/x.py"}
    answer = await builder.client.post("/api/v1/push", json=body)
    task = (await builder.follow(answer.json()["task_id"], workspace))[-1]
    assert task["status"] == "failed"
    assert task["error"] == "spin.toml not found in ."


async def test_push_builds_a_folder_that_exists(builder: Builder, workspace: str, tmp_path: Path) -> None:
    """An app_dir on the builder's disk is built where it is not changed."""
    (tmp_path / "spin.toml").write_text(MANIFEST)
    (tmp_path / "hello.py").write_text(HELLO)
    body = {"registry_url": "registry.local/pushed", "username": "", "password": "", "tag": "folder"}
    body |= {"app_dir": str(tmp_path), "workspace_id": workspace}
    answer = await builder.client.post("/api/v1/push", json=body)
    task = (await builder.follow(answer.json()["task_id"], workspace))[-1]
    assert (task["status"], task["error"]) == ("completed", None)
    assert task["result"]["wasm_path"].endswith("/packed.wasm")
    files = await asyncio.to_thread(lambda: sorted(path.name for path in tmp_path.iterdir()))
    assert files == ["hello.py", "spin.toml"]


async def test_failed_push_has_result_and_error(start_builder: StartBuilder, workspace: str) -> None:
    """The artifact was built and is named; the image is not, and the error says why."""
    async with start_builder(dialect=Dialect.DOCUMENTED) as builder:
        accepted = await builder.upload(
            "build-and-push", "hello.py", HELLO, workspace_id=workspace, registry_url="ghcr.io/me/x"
        )
        task = (await builder.follow(accepted["task_id"], workspace))[-1]
    assert task["status"] == "failed"
    assert task["result"]["wasm_path"].endswith("/hello.wasm")
    assert task["result"]["image_url"] is None
    assert task["error"] == (
        "Failed to push ghcr.io/me/x:latest: image 'ghcr.io/me/x:latest' is not on registry.local, "
        "the only registry here"
    )
