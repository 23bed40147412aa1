"""What requests to AWS need, by IAM's names."""

import json

import pytest

from tests.permissions.actions import BUCKET, TABLE, Permission, of_dynamodb, of_s3


def test_operation_on_rows_needs_itself() -> None:
    """The API's name is IAM's."""
    assert of_dynamodb("BatchWriteItem", b"{}") == {Permission("dynamodb:BatchWriteItem", TABLE)}


def test_query_of_the_index_needs_the_index() -> None:
    """IAM takes an index for a resource of its own."""
    body = json.dumps({"TableName": "t", "IndexName": "GSI1"}).encode()
    assert of_dynamodb("Query", body) == {Permission("dynamodb:Query", f"{TABLE}/index/GSI1")}


def test_transaction_needs_what_is_in_it() -> None:
    """There is no action for a transaction itself."""
    body = json.dumps({"TransactItems": [{"ConditionCheck": {}}, {"Put": {}}, {"Put": {}}]}).encode()
    needed = {permission.action for permission in of_dynamodb("TransactWriteItems", body)}
    assert needed == {"dynamodb:ConditionCheckItem", "dynamodb:PutItem"}


@pytest.mark.parametrize(
    ("method", "path", "query", "action", "resource"),
    [
        ("HEAD", "/sources", "", "s3:ListBucket", BUCKET),
        ("GET", "/sources", "list-type=2&prefix=a%2F", "s3:ListBucket", BUCKET),
        ("HEAD", "/sources/a/b.py", "", "s3:GetObject", f"{BUCKET}/*"),
        ("PUT", "/sources/a/b.py", "x-id=PutObject", "s3:PutObject", f"{BUCKET}/*"),
        ("POST", "/sources", "delete", "s3:DeleteObject", f"{BUCKET}/*"),
    ],
)
def test_request_to_s3_needs(method: str, path: str, query: str, action: str, resource: str) -> None:
    """IAM's names are not the API's."""
    assert of_s3(method, path, query) == {Permission(action, resource)}


def test_request_that_is_not_known_is_an_error() -> None:
    """A new kind of call must not count as one that is allowed."""
    with pytest.raises(ValueError, match="does not know the action of PUT"):
        of_s3("PUT", "/sources/a/b.py", "acl")
