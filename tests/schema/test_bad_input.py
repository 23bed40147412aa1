"""Bad input of every mutation: the error names the field, and not a byte of the table or the bucket changes."""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.app import schema_text
from tests.contents import Contents
from tests.gateway import Gateway, running_gateway

MISSING = object()
REFUSALS = {"VALIDATION_ERROR", "PAYLOAD_TOO_LARGE"}
CONTROL, EMOJI, HUGE = "a\u0000b", "na\u202eme \U0001f600 e\u0301", "x" * 60_000
INJECTIONS = ('x"}) or vector(1) #', '{job="x"} |= "', "../../etc/passwd", "'; DROP TABLE", "${jndi:ldap://x}")

ABSENT: list[Any] = [MISSING, None]
NO_TEXT: list[Any] = [5, True, [], {"a": 1}]
IDS: list[Any] = [*ABSENT, True, [], {"a": 1}, "", " ", CONTROL, EMOJI, HUGE, "*", *INJECTIONS]
NAMES: list[Any] = [*ABSENT, *NO_TEXT, "", " \t\n", CONTROL, "a\nb", "a\u2028b", HUGE]
OPTIONAL_NAMES: list[Any] = [*NO_TEXT, CONTROL, "a\nb", HUGE]
DESCRIPTIONS: list[Any] = [*NO_TEXT, CONTROL, "\u0007", HUGE]
WORDS: list[Any] = [*NO_TEXT, CONTROL, EMOJI, HUGE, *INJECTIONS]
"""For what is a name in another system: an image, a namespace, a quantity."""
FLAGS: list[Any] = [None, "true", 1, [], {}]


def numbers(low: int, high: int) -> list[Any]:
    """What is no whole number within the bounds."""
    return [low - 1, high + 1, -(2**40), 1.5, "5", True, [], {}]


def code(text: bytes) -> str:
    """A source as it is sent."""
    return base64.b64encode(text).decode()


CODES: list[Any] = [
    *NO_TEXT,
    "",
    "a",
    "cHJp bnQ=",
    "cGFz-_==",
    CONTROL,
    EMOJI,
    code(b" \n"),
    code(b"\xff"),
    code(b"a\0b"),
]
VARIABLES: list[Any] = [
    5,
    "A=1",
    [5],
    [{}],
    [{"name": "A"}],
    *([{"name": name, "value": "x"}] for name in ("", "1A", "A B", "A-B", EMOJI, CONTROL, "A=B", *INJECTIONS)),
    [{"name": "A", "value": CONTROL}],
    [{"name": "A", "value": 5}],
    [{"name": "A", "value": HUGE}],
    [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
]
METHODS: list[Any] = [[], 5, ["BREW"], ["get"], [None], [["GET"]], "BREW"]
URLS: list[Any] = [
    *NO_TEXT,
    "",
    " \t",
    CONTROL,
    "a b",
    HUGE,
    "ftp://x.default.svc.cluster.local",
    "http://",
    "http://[::1",
    *INJECTIONS,
]
URLS += [
    "http://169.254.169.254/",
    "http://u:p@x.default.svc.cluster.local",
    "javascript:alert(1)",
    "http://x:99999",
]
TIMES: list[Any] = [5, "", "now", "2026-01-01", "2026-01-01T00:00:00", "9999-12-31T23:59:59-12:00", CONTROL, EMOJI]
QUANTITIES: list[Any] = [*NO_TEXT, "a lot", "-1", "1 Gi", CONTROL, EMOJI, HUGE, *INJECTIONS]
DEPLOY: dict[str, Iterable[Any]] = {
    "namespace": [None, *WORDS, "", "kube-system"],
    "enableAutoscaling": FLAGS,
    "useSpot": FLAGS,
    "cpuLimit": QUANTITIES,
    "memoryLimit": QUANTITIES,
    "cpuRequest": QUANTITIES,
    "memoryRequest": QUANTITIES,
}
BUILD: dict[str, Iterable[Any]] = {"workspaceId": IDS, "functionId": IDS[2:], "appName": OPTIONAL_NAMES}
CREDENTIALS: dict[str, Iterable[Any]] = {
    "username": [*NO_TEXT, CONTROL, HUGE],
    "password": [*NO_TEXT, CONTROL, HUGE],
    "tag": WORDS,
}

CASES: dict[str, dict[str, Iterable[Any]]] = {
    "createWorkspace": {"name": NAMES, "description": DESCRIPTIONS, "nickname": ["x"]},
    "updateWorkspace": {"id": IDS, "name": NAMES[1:], "description": DESCRIPTIONS, "functionCount": [7]},
    "deleteWorkspace": {"id": IDS},
    "createFunction": {
        "workspaceId": IDS,
        "name": NAMES,
        "description": DESCRIPTIONS,
        "runtime": NAMES[1:],
        "memory": [None, *numbers(128, 1024)],
        "timeout": [None, *numbers(1, 900)],
        "httpMethods": [None, *METHODS],
        "environmentVariables": [None, *VARIABLES],
        "code": [*ABSENT, *CODES],
        "status": ["ACTIVE"],
    },
    "updateFunction": {
        "id": IDS,
        "name": NAMES[1:],
        "description": DESCRIPTIONS,
        "runtime": NAMES[1:],
        "memory": [None, *numbers(128, 1024)],
        "timeout": [None, *numbers(1, 900)],
        "httpMethods": [None, *METHODS],
        "environmentVariables": [None, *VARIABLES],
        "code": [None, *CODES],
        "status": [None, *NO_TEXT, "BUILDING", "DEPLOYING", "FAILED", "active", ""],
        "invocationUrl": URLS,
        "lastDeployed": [None, *TIMES],
        "workspaceId": ["ws-00000001"],
    },
    "deleteFunction": {"id": IDS},
    "invokeFunction": {
        "functionId": IDS,
        "method": [*NO_TEXT, "BREW", "DELETE"],
        "path": [None, *NO_TEXT, "", "x", "/a b", "/a\r\nX: y", "/" + CONTROL, "/#x", "/" + HUGE, "//evil#"],
    },
    "startBuild": BUILD,
    "startBuildAndPush": {**BUILD, **CREDENTIALS, "registryUrl": WORDS},
    "startPush": {
        "workspaceId": IDS,
        "registryUrl": [*ABSENT, *WORDS],
        "sourcePath": [*ABSENT, *WORDS, "", "s3://other-bucket/x.zip"],
        **CREDENTIALS,
    },
    "deploySpinApp": {
        **DEPLOY,
        "imageRef": [*ABSENT, *WORDS, ""],
        "functionId": IDS[2:],
        "appName": OPTIONAL_NAMES,
        "replicas": [-1, 0, 10**6, 1.5, "5", [], {}],
        "serviceAccount": WORDS,
    },
    "deployFunction": {**DEPLOY, "functionId": IDS, "replicas": [-1, 0, 10**6, 1.5, "5", [], {}]},
    "cancelBuild": {"id": IDS},
    "scaffoldSpinApp": {"imageRef": [*ABSENT, *WORDS, ""], "replicas": [None, -1, 0, 1.5, "5"]},
    "rollbackFunction": {"functionId": IDS, "deploymentId": IDS},
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway with a workspace and a function."""

    gateway: Gateway
    contents: Contents
    workspace_id: str
    function_id: str

    def valid(self, mutation: str) -> dict[str, Any]:
        """What the mutation requires, all of it as it should be."""
        target = self.workspace_id if "Workspace" in mutation else self.function_id
        given = {
            "id": "V1StGXR8Z5jdHi6BmyT4xx" if mutation == "cancelBuild" else target,
            "workspaceId": self.workspace_id,
            "functionId": self.function_id,
            "name": "hello",
            "code": code(b"pass"),
            "imageRef": "registry.example.com/hello:1",
            "registryUrl": "registry.example.com/hello",
            "sourcePath": f"s3://{self.gateway.settings.s3_bucket_name}/build-sources/x.zip",
            "deploymentId": f"{self.function_id}-1765080000123456",
            "file": None,
        }
        return {name: given[name] for name in REQUIRED[mutation]}

    async def errors(self, mutation: str, values: dict[str, Any]) -> list[Any]:
        """The errors that an input of the mutation has."""
        kind = mutation[0].upper() + mutation[1:]
        query = f"mutation ($input: {kind}Input!) {{ {mutation}(input: $input) {{ __typename }} }}"
        operation = {"query": query, "variables": {"input": values}}
        if "file" in values:
            parts = {"operations": json.dumps(operation), "map": json.dumps({"0": ["variables.input.file"]})}
            response = await self.gateway.client.post(
                "/graphql", data=parts, files={"0": ("app.py", b"pass")}, headers={"x-requested-with": "test"}
            )
        else:
            response = await self.gateway.client.post("/graphql", json=operation)
        found: list[Any] = response.json().get("errors", [])
        return found


def required_fields() -> dict[str, list[str]]:
    """The fields that each mutation's input can't be without, as the schema has them."""
    found: dict[str, list[str]] = {}
    for mutation in CASES:
        kind = mutation[0].upper() + mutation[1:]
        lines = schema_text().partition(f"input {kind}Input {{")[2].partition("\n}")[0].splitlines()
        fields = [line.strip() for line in lines if line.rstrip().endswith("!") and ": " in line]
        found[mutation] = [line.partition(":")[0] for line in fields]
    return found


REQUIRED = required_fields()


@pytest.fixture
async def stage(aws_server: str) -> AsyncIterator[Stage]:
    """A workspace with a function that could be called, were there anything to answer."""
    hosts = ("*.default.svc.cluster.local:80",)
    async with running_gateway(aws_server, invocation_allowed_hosts=hosts) as gateway:
        workspace_id = await gateway.create_workspace("Shop", description="sells")
        function_id = await gateway.create_function(workspace_id)
        contents = Contents(aws_server, gateway.settings)
        row = contents.rows()["WS#" + workspace_id, "FN#" + function_id]
        contents.put_rows([row | {"invocationUrl": "http://x.default.svc.cluster.local"}])
        yield Stage(gateway, contents, workspace_id, function_id)


def test_every_mutation_has_its_cases() -> None:
    """A new mutation is not forgotten."""
    fields = schema_text().partition("type Mutation {")[2].partition("\n}")[0]
    assert {line.strip()[:-1] for line in fields.splitlines() if line.endswith("(")} == set(CASES)


@pytest.mark.parametrize("mutation", CASES)
async def test_bad_input(stage: Stage, mutation: str) -> None:
    """Each value of each field is refused by that field's name, and leaves everything as it was."""
    before = stage.contents.everything()
    wrong: list[str] = []
    for field, values in CASES[mutation].items():
        for value in values:
            given = stage.valid(mutation) | {field: value}
            if value is MISSING:
                del given[field]
            errors = await stage.errors(mutation, given)
            shown = f"{field}={value!r:.60}"
            found = [error["extensions"] for error in errors]
            named = {str(extensions.get("field")).split(".")[0] for extensions in found}
            codes = {extensions["code"] for extensions in found}
            if field == "deploymentId":
                codes -= {"NOT_FOUND"}  # these ids have no form that the contract names
            if named != {field} or not codes <= REFUSALS:
                wrong.append(f"{shown}: {errors}")
            if stage.contents.everything() != before:
                wrong.append(f"{shown}: something was written")
                before = stage.contents.everything()
    assert wrong == []


@pytest.mark.parametrize("mutation", ["createFunction", "updateFunction"])
async def test_source_that_is_too_large(stage: Stage, mutation: str) -> None:
    """One byte above MAX_CODE_BYTES is too large, whatever else is given, and nothing is stored of any of it."""
    before = stage.contents.everything()
    source = code(b"#" * (stage.gateway.settings.max_code_bytes + 1))
    (error,) = await stage.errors(mutation, stage.valid(mutation) | {"name": "renamed", "code": source})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("PAYLOAD_TOO_LARGE", "code")
    assert stage.contents.everything() == before


async def test_half_a_surrogate_pair_is_no_text(stage: Stage) -> None:
    """JSON can spell what UTF-8 can't hold: such a request is refused as a whole, variables and document."""
    before = stage.contents.everything()
    half = '"\\ud800"'
    query = "mutation ($i: CreateWorkspaceInput!) { createWorkspace(input: $i) { workspace { id } } }"
    literal = f"mutation {{ createWorkspace(input: {{name: {half}}}) {{ workspace {{ id }} }} }}"
    variables = f'{{"i": {{"name": {half}}}}}'
    bodies = [f'{{"query": {json.dumps(query)}, "variables": {variables}}}', json.dumps({"query": literal})]
    codes = []
    for body in bodies:
        headers = {"content-type": "application/json"}
        response = await stage.gateway.client.post("/graphql", content=body, headers=headers)
        codes.append(response.json()["errors"][0]["extensions"]["code"])
    assert codes == ["BAD_REQUEST", "GRAPHQL_PARSE_FAILED"]
    assert stage.contents.everything() == before


@pytest.mark.parametrize("name", ["Café ☕", "مرحبا", "e\u0301", "👩‍👩‍👧‍👦", "'; DROP TABLE --", "${name}", "<b>"])
async def test_good_text_comes_back_as_it_was(stage: Stage, name: str) -> None:
    """What looks odd but is text is stored and answered character for character."""
    workspace_id = await stage.gateway.create_workspace(name, description=name)
    variables = [{"name": "A", "value": name}]
    function_id = await stage.gateway.create_function(workspace_id, name, environmentVariables=variables)
    query = """query ($ws: ID!, $fn: ID!) {
      workspace(id: $ws) { name description } function(id: $fn) { name environmentVariables { name value } }
    }"""
    assert await stage.gateway.data(query, ws=workspace_id, fn=function_id) == {
        "workspace": {"name": name, "description": name},
        "function": {"name": name, "environmentVariables": variables},
    }
