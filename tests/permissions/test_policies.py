"""The policy documents: their form, and that the doctor tries all that the gateway's own allows."""

import json
import re

import pytest

from gateway.services.doctor import examine
from tests.aws import as_role
from tests.permissions.actions import BUCKET, TABLE, Permission
from tests.permissions.check import CHECK, read_record, refusals, surplus
from tests.permissions.policies import FOLDER, ROLES, allowed, as_list
from tests.stores import prepared_settings

RESOURCES = {TABLE, f"{TABLE}/index/GSI1", BUCKET, f"{BUCKET}/*"}


@pytest.mark.parametrize("role", ROLES)
def test_document_allows_single_actions_on_our_resources(role: str) -> None:
    """IAM takes it, nothing in it is a pattern but the objects of the bucket, and each statement says what for."""
    document = json.loads((FOLDER / f"{role}.json").read_text())
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    names = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", name) for name in names)
    for statement in document["Statement"]:
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        actions = as_list(statement["Action"])
        assert actions == sorted(set(actions))
        assert all(re.fullmatch(r"(dynamodb|s3):[A-Za-z]+", action) for action in actions)
    assert {permission.resource for permission in allowed(role)} <= RESOURCES


def test_roles_differ() -> None:
    """What serves never makes or changes tables, and never reads one whole."""
    forbidden = {"dynamodb:CreateTable", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive", "dynamodb:Scan"}
    assert {permission.action for permission in allowed("serve")} & forbidden == set()
    assert {permission.action for permission in allowed("migrate")} >= forbidden


async def test_doctor_tries_all_that_is_allowed(aws_server: str, pytestconfig: pytest.Config) -> None:
    """Where the doctor finds nothing wrong with AWS, no permission of the gateway's is missing."""
    settings = await prepared_settings(aws_server)
    await examine(settings.model_copy(update={"aws_endpoint_url": as_role(aws_server, "doctor")}))
    data_dir = pytestconfig.stash[CHECK].data_dir
    assert data_dir is not None
    used, _ = read_record(data_dir)
    assert {permission for role, permission in used if role == "doctor"} == allowed("serve")


def test_permission_that_is_not_allowed_is_told_with_the_test() -> None:
    """By role: what one may do does not help the other."""
    scan = Permission("dynamodb:Scan", TABLE)
    assert refusals({("serve", scan), ("migrate", scan), ("fixture", scan)}, "tests/test_a.py::test_b") == [
        f"tests/test_a.py::test_b: `serve` used dynamodb:Scan on {TABLE}, which iam/serve.json does not allow"
    ]


def test_permission_that_nobody_used_is_told() -> None:
    """The other role's use of it does not count."""
    used = {(role, permission) for role in ROLES for permission in allowed(role)}
    query = Permission("dynamodb:Query", TABLE)
    assert surplus(used) == []
    assert surplus(used - {("serve", query)}) == [
        f"iam/serve.json allows dynamodb:Query on {TABLE}: no test saw `serve` use it"
    ]
