"""What clients see of failures: codes, fields, masks."""

import logging
from typing import Any

import pytest

from tests.wire.app import make_test_schema
from tests.wire.conftest import Post

CREATE = "mutation($input:ThingInput!){create(input:$input)}"


def extensions(answer: dict[str, Any]) -> dict[str, Any]:
    """The extensions of the only error."""
    [error] = answer["errors"]
    found: dict[str, Any] = error["extensions"]
    return found


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"name": 1}, "name"),
        ({"name": "x", "memory": "much"}, "memory"),
        ({"name": "x", "code": "not base64!"}, "code"),
        ({"name": "x", "tags": [{"name": "a"}, {"name": "b", "size": "c"}]}, "tags.1.size"),
        ({"name": "x", "tags": [{"size": 1}]}, "tags.0.name"),
        ({"memory": 128}, "name"),
        ({"name": "x", "color": "red"}, "color"),
        (None, "input"),
        ("x", "input"),
        # A field's own validation names it as well.
        ({"name": "x", "memory": 4096}, "memory"),
    ],
)
def test_bad_variable_names_the_field(post: Post, value: object, field: str) -> None:
    """A value that its type refuses is VALIDATION_ERROR with the path below `input`."""
    found = extensions(post(CREATE, {"input": value}))
    assert (found["code"], found["field"]) == ("VALIDATION_ERROR", field)


@pytest.mark.parametrize(
    ("literal", "field"),
    [
        ('{name:"x",memory:"much"}', "memory"),
        ('{name:"x",code:"not base64!"}', "code"),
        ('{name:"x",tags:[{name:"a"},{name:"b",size:true}]}', "tags.1.size"),
        ("{memory:128}", "name"),
        ('{name:"x",color:1}', "color"),
        ("3", "input"),
    ],
)
def test_bad_literal_names_the_field(post: Post, literal: str, field: str) -> None:
    """The same holds for values written into the document."""
    found = extensions(post("mutation{create(input:LITERAL)}".replace("LITERAL", literal)))
    assert (found["code"], found["field"]) == ("VALIDATION_ERROR", field)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "Expected value of non-null type 'ThingInput!' not to be null."),
        ({"memory": 128}, "Expected value of type 'ThingInput' to include required field 'name'."),
        (
            {"name": "x", "color": "s3cret"},
            "Expected value of type 'ThingInput' not to include unknown field 'color'. Did you mean 'code'?",
        ),
        (
            {"name": "x", "zzzzzz": "s3cret"},
            "Expected value of type 'ThingInput' not to include unknown field 'zzzzzz'.",
        ),
    ],
)
def test_bad_variable_is_told_in_graphql_words(post: Post, value: object, reason: str) -> None:
    """Null is null, and the object around a field, which may hold secrets, is not repeated."""
    [error] = post(CREATE, {"input": value})["errors"]
    assert error["message"] == f"Variable '$input' has invalid value: {reason}"


def test_very_many_bad_variables(post: Post) -> None:
    """Where there are more mistakes than graphql-core lists, its last word on them has a code too."""
    answer = post(CREATE, {"input": {"name": "x", "tags": [{"name": number} for number in range(60)]}})
    assert len(answer["errors"]) == 51
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"VALIDATION_ERROR"}


def test_variable_within_input_names_the_field_it_is_used_for(post: Post) -> None:
    """A variable for a part of the input is reported as that part."""
    found = extensions(post('mutation($m:Int!){create(input:{name:"x",memory:$m})}', {"m": "much"}))
    assert found == {"code": "VALIDATION_ERROR", "retryable": False, "field": "memory"}


def test_null_for_a_required_part_is_found_when_it_is_used(post: Post) -> None:
    """A nullable variable with a default fits a required place; null in it is refused when the field runs."""
    found = extensions(post('mutation($n:String="x"){create(input:{name:$n})}', {"n": None}))
    assert (found["code"], found["field"]) == ("VALIDATION_ERROR", "name")


def test_default_of_a_variable_has_no_field(post: Post) -> None:
    """A literal that no argument has is the caller's mistake all the same."""
    found = extensions(post('query($n:Int!="x"){page{pages(first:$n){name}}}'))
    assert found == {"code": "VALIDATION_ERROR", "retryable": False}


def test_variables_nested_too_deeply_are_refused(post: Post) -> None:
    """What would exhaust the interpreter's stack is VALIDATION_ERROR, and never an internal error."""
    deep: object = "x"
    for _ in range(190):
        deep = [deep]
    assert extensions(post(CREATE, {"input": {"name": "x", "tags": deep}}))["code"] == "VALIDATION_ERROR"


def test_gateway_errors_keep_code_details_and_upstream(post: Post) -> None:
    """What the gateway says about a failure arrives whole, beside the data of other fields."""
    answer = post("{hello conflict loki}")
    assert answer["data"] == {"hello": "hello world", "conflict": None, "loki": None}
    conflict, loki = answer["errors"]
    assert (conflict["message"], conflict["path"]) == ("It is under way.", ["conflict"])
    assert conflict["extensions"] == {"code": "CONFLICT", "retryable": False, "details": {"buildId": "b-1"}}
    assert loki["extensions"] == {"code": "LOKI_CONNECTION_ERROR", "retryable": True, "upstream": "loki"}


def test_unexpected_errors_are_masked_and_logged(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    """Clients get an id; the log has the id with the traceback."""
    with caplog.at_level(logging.ERROR):
        answer = post("{broken}")
    assert "hunter2" not in str(answer)
    assert answer["errors"][0]["message"] == "Internal server error"
    found = extensions(answer)
    assert found["code"] == "INTERNAL_SERVER_ERROR"
    assert found["details"]["errorId"] in caplog.text
    assert "hunter2" in caplog.text


def test_query_over_its_time_is_ended(post: Post) -> None:
    """A query that takes too long is TIMEOUT, and may be sent again."""
    assert extensions(post("{hello slow}")) == {"code": "TIMEOUT", "retryable": True}


async def test_introspection_can_be_switched_off() -> None:
    """Without introspection nothing of the schema can be asked for, nor guessed from suggestions."""
    schema = make_test_schema(introspection=False)
    result = await schema.execute("{__schema{queryType{name}}}")
    assert {(error.extensions or {})["code"] for error in result.errors or []} == {"GRAPHQL_VALIDATION_FAILED"}
    assert result.data is None
    result = await schema.execute("{hell}")
    assert "hello" not in str(result.errors)
    assert (await schema.execute("{hello __typename}")).errors is None
