"""The policy documents in helm/iam, and whom they are for."""

import json
from pathlib import Path

from tests.permissions.actions import Permission

FOLDER = Path(__file__).parents[2] / "helm" / "iam"
RECORD = "permissions.jsonl"
"""What was used, in the folder of the session's AWS stand-in."""
ROLES = ("serve", "migrate")
"""Who calls; `blue-gateway doctor` has the role of `serve`."""
STAND_IN_ONLY = {"migrate": {Permission("s3:CreateBucket", "arn:aws:s3:::BUCKET")}}
"""What is done where S3 is a stand-in alone: a bucket of AWS's own is made by who keeps its policies."""


def allowed(role: str) -> set[Permission]:
    """Every action that a role's document allows, on each resource."""
    document = json.loads((FOLDER / f"{role}.json").read_text())
    return {
        Permission(action, resource)
        for statement in document["Statement"]
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def as_list(value: str | list[str]) -> list[str]:
    """IAM takes one of something without the brackets."""
    return [value] if isinstance(value, str) else value
