"""`serve` before it serves, `migrate` and `doctor`: exit codes, and what they say, as processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings
from tests.aws import as_role
from tests.contents import DYNAMODB_URL
from tests.gateway import NOBODY
from tests.migration.former import function_row, workspace_row
from tests.migration.stage import Stage, new_stage
from tests.serving import serving
from tests.stores import prepared_settings

GATEWAY = [sys.executable, "-m", "gateway"]


def environment(settings: Settings) -> dict[str, str]:
    """Where a command finds its systems; only DynamoDB and S3 answer."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": settings.aws_endpoint_url or "",
        "DYNAMODB_TABLE_NAME": settings.dynamodb_table_name,
        "S3_BUCKET_NAME": settings.s3_bucket_name,
        "BUILDER_SERVICE_URL": NOBODY,
        "LOKI_SERVICE_URL": NOBODY,
        "PROMETHEUS_SERVICE_URL": NOBODY,
        "HOST": "127.0.0.1",
        "PORT": "0",
    }


def run(command: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what `migrate` asks AWS for is its own role's."""
    if command.startswith("migrate"):
        env = {**env, "AWS_ENDPOINT_URL": as_role(env["AWS_ENDPOINT_URL"], "migrate")}
    return subprocess.run(
        [*GATEWAY, *command.split()], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def stage(aws_server: str) -> Stage:
    """A table without the index."""
    return new_stage(aws_server, [workspace_row("ws-00000001"), function_row("ws-00000001", "fn-00000001")])


def test_serve_refuses_a_table_without_the_index(stage: Stage) -> None:
    """One line that names the command, and no traceback."""
    ended = run("serve", environment(stage.settings))
    assert ended.returncode == 2
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if " INFO " not in line]
    assert lines == [
        f"blue-gateway: The table {stage.table} has no index GSI1: run `blue-gateway migrate`, which adds it"
    ]


def test_serve_refuses_a_missing_table(stage: Stage) -> None:
    """The line names the setting too, since the name may be wrong."""
    ended = run("serve", environment(stage.settings) | {"DYNAMODB_TABLE_NAME": "nothing-here"})
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        "blue-gateway: DYNAMODB_TABLE_NAME: there is no table nothing-here: run `blue-gateway migrate`, "
        "which creates it"
    )


def test_serve_refuses_a_table_of_somebody_else(stage: Stage) -> None:
    """Its keys are not ours: a migration would not help."""
    name = f"{stage.table}-other"
    stage.client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    for command in ("migrate", "migrate --dry-run"):
        ended = run(command, environment(stage.settings) | {"DYNAMODB_TABLE_NAME": name})
        assert ended.returncode == 2
        assert ended.stderr == f"blue-gateway: {name} has the keys id, not PK and SK: it is not the gateway's\n"


def test_serve_refuses_an_index_without_all_attributes(stage: Stage) -> None:
    """An index of keys alone would list rows without names; the line says how to come by another."""
    keys = ("PK", "SK", "GSI1PK", "GSI1SK")
    schema = [{"AttributeName": name, "KeyType": "RANGE" if name.endswith("SK") else "HASH"} for name in keys]
    name = f"{stage.table}-keys"
    stage.client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=schema[:2],
        GlobalSecondaryIndexes=[
            {"IndexName": "GSI1", "KeySchema": schema[2:], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    for command in ("serve", "migrate"):
        ended = run(command, environment(stage.settings) | {"DYNAMODB_TABLE_NAME": name})
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1] == (
            f"blue-gateway: The index GSI1 of {name} holds KEYS_ONLY of its rows, not ALL: "
            "delete it, then run `blue-gateway migrate`, which makes it anew"
        )


def test_serve_starts_without_dynamodb(stage: Stage, tmp_path: Path) -> None:
    """It may come back; until then the process lives and is not ready."""
    env = environment(stage.settings) | {DYNAMODB_URL: NOBODY, "DRAIN_TIMEOUT_S": "0"}
    with serving([*GATEWAY, "serve"], tmp_path / "log", environment=env) as served:
        assert httpx.get(served.url + "/livez", trust_env=False).status_code == 200
        ready = httpx.get(served.url + "/readyz", trust_env=False, timeout=10)
    assert ready.status_code == 503
    assert ready.json()["checks"]["dynamodb"] != "ok"
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_migrate_says_what_it_did(stage: Stage) -> None:
    """Progress on stderr, counts on stdout, 0 when nothing is left to do; a wrong rate is a line."""
    env = environment(stage.settings)
    dry = run("migrate --dry-run", env)
    assert dry.returncode == 0
    assert dry.stdout.splitlines()[0] == f"would add the index GSI1 to the table {stage.table}"
    assert dry.stdout.splitlines()[-1] == "nothing was changed: this was a dry run"
    done = run("migrate --rate 1000", env)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"done: add the index GSI1 to the table {stage.table}\n"
        "done: enable the time to live by ttl\n"
        f"done: create the bucket {stage.settings.s3_bucket_name}\n"
        "        1  function counts corrected\n"
        "        1  functions given a revision\n"
        "        1  functions given the name of their SpinApp\n"
        "        1  pointers from a function to its workspace\n"
        "        1  rows for the figures of a function\n"
        "        1  rows for the figures of a workspace\n"
        "        1  workspaces put into the list of all\n"
    )
    assert "rows looked at: 2 of about 2 (100%)" in done.stderr
    again = run("migrate", env)
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    wrong = run("migrate --rate -1", env)
    assert (wrong.returncode, wrong.stderr) == (2, "blue-gateway: --rate: rows a second can't be negative\n")


async def test_doctor_prints_a_table(aws_server: str) -> None:
    """One line for each thing; exit code 1 while something does not answer, and what to do about it."""
    settings = await prepared_settings(aws_server)
    ended = run("doctor", environment(settings))
    assert (ended.returncode, ended.stderr) == (1, "")
    head, *lines = ended.stdout.splitlines()
    assert head.split() == ["what", "reachable", "allowed", "latency", "what", "to", "do"]
    assert [line.split()[0] for line in lines] == ["ok"] * 7 + ["WRONG"] * 6 + ["?"]
    (loki,) = [line for line in lines if "loki: labels" in line]
    assert "see that it runs and that LOKI_SERVICE_URL is its address" in loki


def test_doctor_without_credentials(stage: Stage) -> None:
    """What to do is to give it some, whatever it was about to try with them."""
    absent = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}
    env = {name: value for name, value in environment(stage.settings).items() if name not in absent}
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    ended = run("doctor --json", env | nowhere | {"AWS_CONFIG_FILE": os.devnull})
    findings = [finding for finding in json.loads(ended.stdout) if finding["system"] in {"dynamodb", "s3"}]
    assert findings[0]["detail"] == (
        f"DynamoDB did not answer DescribeTable on {stage.table} (Unable to locate credentials)"
    )
    advice = (
        "give the gateway AWS credentials: a role for its service account (IRSA), "
        "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment"
    )
    assert [finding["advice"] for finding in findings] == [advice] * 7


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
def test_command_with_a_profile_that_is_not_there(stage: Stage, command: str) -> None:
    """The SDK's own settings may be wrong too: one line, as for the gateway's."""
    ended = run(command, environment(stage.settings) | {"AWS_PROFILE": "nope"})
    assert (ended.returncode, ended.stdout) == (2, "")
    lines = [line for line in ended.stderr.splitlines() if " INFO " not in line]
    assert lines == ["blue-gateway: the AWS SDK can't be set up: The config profile (nope) could not be found"]


def test_doctor_prints_json(stage: Stage) -> None:
    """What is wrong with a table that was not migrated is said with the command that helps."""
    ended = run("doctor --json", environment(stage.settings))
    assert ended.returncode == 1
    findings = {finding["what"]: finding for finding in json.loads(ended.stdout)}
    index = findings["table with index GSI1"]
    assert (index["verdict"], index["reachable"], index["advice"]) == ("WRONG", True, "run `blue-gateway migrate`")
    assert findings["write and delete a row"]["verdict"] == "FINE"
