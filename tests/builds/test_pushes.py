"""Pushing what was uploaded before, and making manifests."""

import pytest

from gateway.errors import BuilderError, InvalidInputError, NotFoundError
from gateway.records.builds import BuildKind, BuildStatus
from tests.builds.samples import an_upload
from tests.builds.script import ACCEPTED, ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
REGISTRY = "r.example/team/app"


async def uploaded(stage: Stage) -> str:
    """The address of a source that was built."""
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload("my-app.py"))
    return build.source_path or ""


async def test_start_push_when_all_is_well(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder gets the source's address, a directory that does not exist, and empty credentials."""
    path = await uploaded(stage)
    script.deploys.append(ACCEPTED)
    build = await stage.starts.start_push(workspace_id=stage.workspace_id, registry_url=REGISTRY, source_path=path)
    assert (build.kind, build.status, build.app_name) == (BuildKind.PUSH, BuildStatus.PENDING, "myapp")
    assert (build.source_path, build.builder_task_id) == (path, "task-1")
    assert script.bodies == [
        {
            "workspace_id": stage.workspace_id,
            "s3_source_path": path,
            "app_dir": "/nonexistent",
            "registry_url": REGISTRY,
            "tag": f"task-{build.id}",
            "username": "",
            "password": "",
        }
    ]
    script.says("running")
    script.says("completed")
    await stage.rounds(2)
    done = await stage.build(build.id)
    assert [step.status.name for step in done.steps] == ["PENDING", "PUSHING", "DONE"]
    assert done.image_url == f"{REGISTRY}:task-{build.id}"


async def test_start_push_when_the_builder_refuses(stage: Stage, script: ScriptedBuilder) -> None:
    """Its words without the password, which it repeats: in the error and in the FAILED build."""
    path = await uploaded(stage)
    stage.clock.advance(seconds=1)
    script.deploys.append((500, "login of AWS with hunter2secret failed"))
    with pytest.raises(BuilderError) as caught:
        await stage.starts.start_push(
            workspace_id=stage.workspace_id,
            registry_url=REGISTRY,
            source_path=path,
            username="AWS",
            password="hunter2secret",
        )
    assert "login of AWS with *** failed" in caught.value.message
    assert caught.value.__cause__ is None
    page = await stage.dynamo.builds.list_of_workspace(stage.workspace_id, first=1, after=None)
    assert (page.items[0].status, page.items[0].error) == (BuildStatus.FAILED, caught.value.message)


@pytest.mark.parametrize(
    "path",
    [
        "s3://other-bucket/build-sources/{ws}/b1/app.py",
        "s3://{bucket}/build-sources/ws-other000/b1/app.py",
        "s3://{bucket}/build-sources/{ws}/../ws-other000/app.py",
        "s3://{bucket}/build-sources/{ws}/b1/../../app.py",
        "s3://{bucket}/build-sources/{ws}/b1/app.txt",
        "s3://{bucket}/build-sources/{ws}/b1/.py",
        "s3://{bucket}/build-artifacts/b1/app.wasm",
        "s3://{bucket}/{ws}/fn-1a2b3c4d.py",
        "https://example.com/app.py",
        "",
    ],
)
async def test_start_push_when_the_source_is_not_the_workspaces(
    stage: Stage, script: ScriptedBuilder, path: str
) -> None:
    """VALIDATION_ERROR: the builder would read whatever it is told to."""
    source_path = path.format(bucket=stage.sources.name, ws=stage.workspace_id)
    with pytest.raises(InvalidInputError) as caught:
        await stage.starts.start_push(
            workspace_id=stage.workspace_id, registry_url=REGISTRY, source_path=source_path
        )
    assert caught.value.field == "sourcePath"
    assert script.calls == []


async def test_start_push_when_the_source_is_gone(stage: Stage, script: ScriptedBuilder) -> None:
    """NOT_FOUND, and no build."""
    path = f"s3://{stage.sources.name}/build-sources/{stage.workspace_id}/b1/app.py"
    with pytest.raises(NotFoundError) as caught:
        await stage.starts.start_push(workspace_id=stage.workspace_id, registry_url=REGISTRY, source_path=path)
    assert caught.value.field == "sourcePath"
    assert script.calls == []


async def test_scaffold_spin_app_when_it_is_made(stage: Stage, script: ScriptedBuilder) -> None:
    """What was left out is not sent."""
    script.deploys.append(
        (200, {"success": True, "yaml_content": "kind: SpinApp", "file_path": None, "error": None})
    )
    result = await stage.deployments.scaffold_spin_app(
        "r.example/f:1", component=None, replicas=2, output_path="out/app.yaml"
    )
    assert (result.success, result.yaml_content) == (True, "kind: SpinApp")
    assert script.bodies == [{"image_ref": "r.example/f:1", "replicas": 2, "output_path": "out/app.yaml"}]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("imageRef", {"image_ref": "a b"}),
        ("component", {"component": "a b"}),
        ("replicas", {"replicas": 0}),
        ("outputPath", {"output_path": "../app.yaml"}),
        ("outputPath", {"output_path": "/etc/app.yaml"}),
        ("outputPath", {"output_path": "/tmp/../etc/app.yaml"}),
        ("outputPath", {"output_path": "app.sh"}),
    ],
)
async def test_scaffold_spin_app_when_the_input_is_wrong(
    stage: Stage, script: ScriptedBuilder, field: str, given: dict[str, object]
) -> None:
    """VALIDATION_ERROR names the field: the builder writes wherever it is told to."""
    values = {"image_ref": "r.example/f:1", "component": None, "replicas": 1, "output_path": None} | given
    with pytest.raises(InvalidInputError) as caught:
        await stage.deployments.scaffold_spin_app(**values)  # type: ignore[arg-type]  # wrong values
    assert caught.value.field == field
    assert script.calls == []
