"""Long lists in variables: refused by name before anything is made of them."""

import base64
from typing import Any

import pytest

from tests.gateway import Gateway

CREATE = "mutation ($input: CreateFunctionInput!) { createFunction(input: $input) { function { id } } }"
UPDATE = "mutation ($input: UpdateFunctionInput!) { updateFunction(input: $input) { function { id } } }"


def variables(count: int) -> list[dict[str, str]]:
    """So many variables of an environment, which together are small enough."""
    return [{"name": f"A{number}", "value": "x"} for number in range(count)]


async def test_create_function_when_the_environment_has_a_thousand_variables(gateway: Gateway) -> None:
    """They are stored; one more is VALIDATION_ERROR on the field, on create and on update."""
    given: dict[str, Any] = {"workspaceId": await gateway.create_workspace(), "name": "hello"}
    given["code"] = base64.b64encode(b"x = 1\n").decode()
    answer = await gateway.data(CREATE, input=given | {"environmentVariables": variables(1000)})
    error = await gateway.error(CREATE, input=given | {"environmentVariables": variables(1001)})
    assert error["message"] == "environmentVariables must have at most 1000 items; it has 1001."
    assert (error["extensions"]["code"], error["extensions"]["field"]) == (
        "VALIDATION_ERROR",
        "environmentVariables",
    )
    changes = {"id": answer["createFunction"]["function"]["id"], "environmentVariables": variables(50_000)}
    assert (await gateway.error(UPDATE, input=changes))["extensions"]["field"] == "environmentVariables"


@pytest.mark.parametrize(
    ("query", "given", "field"),
    [
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * 1001}, "ids"),
        (UPDATE, {"input": {"id": "fn-1a2b3c4d", "httpMethods": ["GET"] * 1001}}, "httpMethods"),
    ],
)
async def test_execute_when_any_list_is_long(
    gateway: Gateway, query: str, given: dict[str, Any], field: str
) -> None:
    """The path below `input` says which."""
    error = await gateway.error(query, **given)
    assert error["message"] == f"{field} must have at most 1000 items; it has 1001."
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", field)


async def test_invoke_function_when_its_body_has_a_long_list(gateway: Gateway) -> None:
    """What is JSON to the schema may be as long as it is: the function is looked for."""
    query = "mutation ($input: InvokeFunctionInput!) { invokeFunction(input: $input) { executionLog { id } } }"
    error = await gateway.error(query, input={"functionId": "fn-1a2b3c4d", "body": [0] * 1001})
    assert error["extensions"]["code"] == "NOT_FOUND", error
