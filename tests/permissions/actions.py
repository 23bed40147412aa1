"""What IAM calls a request to DynamoDB or S3: actions on resources, with the placeholders of helm/iam.

The names: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html and
list_amazons3.html there; what TransactWriteItems needs is in DynamoDB's guide, "API permissions".
"""

import json
from typing import Any, NamedTuple
from urllib.parse import parse_qs

TABLE = "arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE"
BUCKET = "arn:aws:s3:::BUCKET"
TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
OBJECT = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
OF_BUCKET = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
PLAIN_QUERY = {"x-id", "list-type", "prefix", "max-keys", "encoding-type", "continuation-token", "start-after"}
"""What makes no other action of a request to S3; `?acl`, `?uploads` and their like do."""


class Permission(NamedTuple):
    """An action on a resource."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


def of_dynamodb(operation: str, body: bytes) -> set[Permission]:
    """What an operation such as `GetItem` needs."""
    request: dict[str, Any] = json.loads(body)
    if operation.startswith("Transact"):
        verbs = {verb for item in request["TransactItems"] for verb in item}
        return {Permission(f"dynamodb:{TRANSACTION[verb]}", TABLE) for verb in verbs}
    index = request.get("IndexName")
    return {Permission(f"dynamodb:{operation}", f"{TABLE}/index/{index}" if index else TABLE)}


def of_s3(method: str, path: str, query: str) -> set[Permission]:
    """What a request needs; ValueError for one that is not known here."""
    key = path.lstrip("/").partition("/")[2]
    special = set(parse_qs(query, keep_blank_values=True)) - PLAIN_QUERY
    if method == "POST" and special == {"delete"}:
        return {Permission("s3:DeleteObject", f"{BUCKET}/*")}
    names = OBJECT if key else OF_BUCKET
    if special or method not in names:
        raise ValueError(f"tests/permissions/actions.py does not know the action of {method} {path}?{query}")
    return {Permission(f"s3:{names[method]}", f"{BUCKET}/*" if key else BUCKET)}
