"""Functions' sources: S3 first, then the row; what goes wrong in between leaves both as they were."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.aws_proxy import AwsProxy, aws_proxy
from tests.contents import Contents
from tests.gateway import CREATE_FUNCTION, SOURCE, UPDATE_FUNCTION, Gateway, running_gateway

PAGE = "query ($id: ID!) { function(id: $id) { name code executionLogs { nodes { id } } } }"
LIST = """query ($id: ID!) {
  workspace(id: $id) { functions { nodes { id name description environmentVariables { name } } } }
}"""


def encoded(code: bytes) -> str:
    """A source as it is sent."""
    return base64.b64encode(code).decode()


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway with one function, and what is between it and its stores."""

    gateway: Gateway
    proxy: AwsProxy
    contents: Contents
    workspace_id: str
    id: str

    @property
    def key(self) -> str:
        """The source's object."""
        return f"{self.workspace_id}/{self.id}.py"

    async def code(self) -> bytes | None:
        """The source as it is answered."""
        text = (await self.gateway.data(PAGE, id=self.id))["function"]["code"]
        return None if text is None else base64.b64decode(text)


@pytest.fixture
async def stage(aws_server: str) -> AsyncIterator[Stage]:
    """One function."""
    async with (
        aws_proxy(aws_server) as proxy,
        running_gateway(proxy.url, aws_endpoint_url_dynamodb=proxy.url) as gateway,
    ):
        workspace_id = await gateway.create_workspace()
        id_ = await gateway.create_function(workspace_id)
        proxy.reset()
        yield Stage(gateway, proxy, Contents(aws_server, gateway.settings), workspace_id, id_)


async def test_page_when_s3_does_not_answer(stage: Stage) -> None:
    """`code` is null with S3_ERROR, the rest of the page is there; lists never ask S3."""
    stage.proxy.refused = "s3"
    answer = await stage.gateway.answer(PAGE, id=stage.id)
    assert answer["data"] == {"function": {"name": "hello", "code": None, "executionLogs": {"nodes": []}}}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["function", "code"], "S3_ERROR")
    stage.proxy.operations.clear()
    await stage.gateway.data(LIST, id=stage.workspace_id)
    assert not [operation for operation in stage.proxy.operations if operation.startswith("s3")]


@pytest.mark.parametrize("refused", ["s3 PUT", "dynamodb TransactWriteItems"])
async def test_create_when_a_store_refuses(stage: Stage, refused: str) -> None:
    """Neither a row nor an object is left of a function that could not be created."""
    before = stage.contents.everything()
    stage.proxy.refused = refused
    given = {"workspaceId": stage.workspace_id, "name": "new", "code": encoded(b"pass")}
    error = await stage.gateway.error(CREATE_FUNCTION, input=given)
    assert error["extensions"]["code"] == ("S3_ERROR" if refused.startswith("s3") else "DYNAMODB_ERROR")
    assert stage.contents.everything() == before


@pytest.mark.parametrize("refused", ["s3 PUT", "dynamodb UpdateItem"])
async def test_update_when_a_store_refuses(stage: Stage, refused: str) -> None:
    """The source before it is back, and the row was not touched."""
    before = stage.contents.everything()
    stage.proxy.refused = refused
    values = {"id": stage.id, "name": "new", "code": encoded(b"raise SystemExit")}
    error = await stage.gateway.error(UPDATE_FUNCTION, input=values)
    assert error["extensions"]["code"] == ("S3_ERROR" if refused.startswith("s3") else "DYNAMODB_ERROR")
    assert stage.contents.everything() == before


@pytest.mark.parametrize("changes", [{}, {"lastDeployed": "2026-03-01T12:00:00Z"}], ids=["new", "deployed"])
async def test_update_when_the_answer_is_lost(stage: Stage, changes: dict[str, str]) -> None:
    """The row has the new source, so that S3 keeps it too, also where the client says that it deployed it."""
    stage.proxy.lost = "dynamodb UpdateItem"
    values = {"id": stage.id, "code": encoded(b"new = True"), **changes}
    error = await stage.gateway.error(UPDATE_FUNCTION, input=values)
    assert error["extensions"]["code"] == "DYNAMODB_ERROR"
    row = stage.contents.rows()["WS#" + stage.workspace_id, "FN#" + stage.id]
    assert (row["code"], await stage.code()) == (encoded(b"new = True"), b"new = True")


async def test_update_when_another_one_is_faster(stage: Stage) -> None:
    """An update that is refused after another one was stored leaves that one's source alone."""

    async def update() -> None:
        stage.proxy.refused = stage.proxy.meanwhile = None
        await stage.gateway.data(UPDATE_FUNCTION, input={"id": stage.id, "code": encoded(b"other = True")})

    stage.proxy.refused, stage.proxy.meanwhile = "dynamodb UpdateItem", update
    await stage.gateway.error(UPDATE_FUNCTION, input={"id": stage.id, "code": encoded(b"mine = True")})
    assert await stage.code() == b"other = True"


async def test_update_when_dynamodb_goes_away(stage: Stage) -> None:
    """Where the row can't be read again, S3 keeps what was written: the row may have it too."""

    async def go_away() -> None:
        stage.proxy.refused = "dynamodb"

    stage.proxy.refused, stage.proxy.meanwhile = "dynamodb UpdateItem", go_away
    error = await stage.gateway.error(UPDATE_FUNCTION, input={"id": stage.id, "code": encoded(b"new = True")})
    assert "UpdateItem" in error["message"]
    assert stage.contents.get_object(stage.key) == b"new = True"


@pytest.mark.parametrize(("size", "on_row"), [(12_288, True), (12_289, False), (1024 * 1024, False)])
async def test_update_by_size(stage: Stage, size: int, on_row: bool) -> None:
    """Up to 16 KB of Base64 are on the row too, for the former readers; S3 has it at any size."""
    code = b"#" * size
    await stage.gateway.data(UPDATE_FUNCTION, input={"id": stage.id, "code": encoded(code)})
    row = stage.contents.rows()["WS#" + stage.workspace_id, "FN#" + stage.id]
    assert row.get("code") == (encoded(code) if on_row else None)
    assert stage.contents.get_object(stage.key) == code
    assert await stage.code() == code


async def test_code_when_it_is_on_the_row_alone(stage: Stage) -> None:
    """A function of the former backend without an object is answered from its row; an object comes first."""
    row = stage.contents.rows()["WS#" + stage.workspace_id, "FN#" + stage.id]
    stage.contents.put_rows([row | {"code": encoded(b"old = True")}])
    assert await stage.code() == SOURCE
    stage.contents.delete_object(stage.key)
    assert await stage.code() == b"old = True"
    del row["code"]
    stage.contents.put_rows([row])
    assert await stage.code() is None
