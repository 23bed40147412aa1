"""The AWS stand-in over restarts: what was answered is there again, whatever ended the process."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.local.processes import guarded, listen
from tests.aws import create_platform_table, running_aws

WORKSPACE = {
    "PK": {"S": "WS#ws-1"},
    "SK": {"S": "METADATA"},
    "GSI1PK": {"S": "WORKSPACES"},
    "GSI1SK": {"S": "2026#ws-1"},
    "name": {"S": "Demo \ud55c\uae00"},
    "count": {"N": "3"},
    "list": {"L": [{"S": "a"}, {"M": {"b": {"BOOL": True}, "c": {"NULL": True}, "d": {"B": b"\x00\xff"}}}]},
    "set": {"SS": ["x", "y"]},
    "bytes": {"B": b"\x01\xfe"},
}


def query_index(client: Any, partition: str) -> list[Any]:
    """All rows of a GSI1 partition."""
    answer = client.query(
        TableName="t",
        IndexName="GSI1",
        KeyConditionExpression="GSI1PK = :p",
        ExpressionAttributeValues={":p": {"S": partition}},
    )
    items: list[Any] = answer["Items"]
    return items


def run_on(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a stand-in on a folder that it can't use, to its end."""
    with listen() as listener:
        fd = listener.fileno()
        return subprocess.run(
            guarded([sys.executable, "-m", "gateway.local.aws", "--fd", str(fd), "--data-dir", str(data_dir)]),
            pass_fds=[fd],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


def test_rows_index_and_objects_are_there_after_kill(tmp_path: Path) -> None:
    """Every kind of value, an update, a deletion, the index, TTL and S3 objects survive kill -9."""
    with running_aws(tmp_path) as server:
        dynamodb, s3 = server.client("dynamodb"), server.client("s3")
        create_platform_table(dynamodb, "t")
        dynamodb.update_time_to_live(
            TableName="t", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
        )
        dynamodb.put_item(TableName="t", Item=WORKSPACE)
        for sort in ("A", "B"):
            dynamodb.put_item(TableName="t", Item={"PK": {"S": "X"}, "SK": {"S": sort}})
        dynamodb.update_item(
            TableName="t",
            Key={"PK": {"S": "X"}, "SK": {"S": "A"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        dynamodb.delete_item(TableName="t", Key={"PK": {"S": "X"}, "SK": {"S": "B"}})
        location = {"LocationConstraint": "ap-northeast-2"}
        s3.create_bucket(Bucket="code-bucket", CreateBucketConfiguration=location)
        s3.put_object(Bucket="code-bucket", Key="ws/fn.py", Body=b"old")
        s3.put_object(
            Bucket="code-bucket",
            Key="ws/fn.py",
            Body=b"print(1)",
            ContentType="text/x-python",
            Metadata={"a": "b"},
        )
        s3.put_object(Bucket="code-bucket", Key="gone", Body=b"x")
        s3.delete_object(Bucket="code-bucket", Key="gone")
        before = s3.get_object(Bucket="code-bucket", Key="ws/fn.py")
        server.kill()

    with running_aws(tmp_path) as server:
        dynamodb, s3 = server.client("dynamodb"), server.client("s3")
        assert query_index(dynamodb, "WORKSPACES") == [WORKSPACE]
        scanned = dynamodb.scan(TableName="t")["Items"]
        assert sorted(scanned, key=lambda item: item["PK"]["S"]) == [
            WORKSPACE,
            {"PK": {"S": "X"}, "SK": {"S": "A"}, "n": {"N": "1"}},
        ]
        ttl = dynamodb.describe_time_to_live(TableName="t")["TimeToLiveDescription"]
        assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
        assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="code-bucket")["Contents"]] == ["ws/fn.py"]
        after = s3.get_object(Bucket="code-bucket", Key="ws/fn.py")
        assert after["Body"].read() == b"print(1)"
        for kept in ("ContentType", "Metadata", "ETag", "LastModified", "ContentLength"):
            assert after[kept] == before[kept]
        assert len(list((tmp_path / "objects").iterdir())) == 1


def test_multipart_upload_survives_kill(tmp_path: Path) -> None:
    """A body uploaded in parts is one object after a restart, with the same ETag."""
    parts = [b"a" * (5 * 1024 * 1024), b"tail"]
    with running_aws(tmp_path) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="parts", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        upload = {"Bucket": "parts", "Key": "app.wasm"}
        upload["UploadId"] = s3.create_multipart_upload(Bucket="parts", Key="app.wasm")["UploadId"]
        done = [
            {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate(parts, 1)
        ]
        etag = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})["ETag"]
        assert s3.get_object(Bucket="parts", Key="app.wasm")["Body"].read() == b"".join(parts)
        server.kill()
    with running_aws(tmp_path) as server:
        found = server.client("s3").get_object(Bucket="parts", Key="app.wasm")
        assert (found["ETag"], found["Body"].read()) == (etag, b"".join(parts))


def test_tables_and_index_changes_survive_a_stop(tmp_path: Path) -> None:
    """An index added online, a dropped table and a table without a sort key are as they were left."""
    with running_aws(tmp_path) as server:
        dynamodb = server.client("dynamodb")
        for name in ("kept", "dropped"):
            dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            )
            dynamodb.put_item(TableName=name, Item={"id": {"N": "1"}, "kind": {"S": "k"}})
        dynamodb.update_table(
            TableName="kept",
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "N"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexUpdates=[
                {
                    "Create": {
                        "IndexName": "by_kind",
                        "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                }
            ],
        )
        dynamodb.delete_table(TableName="dropped")
    with running_aws(tmp_path) as server:
        dynamodb = server.client("dynamodb")
        assert dynamodb.list_tables()["TableNames"] == ["kept"]
        found = dynamodb.query(
            TableName="kept",
            IndexName="by_kind",
            KeyConditionExpression="kind = :k",
            ExpressionAttributeValues={":k": {"S": "k"}},
        )
        assert found["Items"] == [{"id": {"N": "1"}, "kind": {"S": "k"}}]


def test_transaction_token_is_known_after_kill(tmp_path: Path) -> None:
    """A transaction that is repeated because its answer was lost with the process is not applied twice."""
    update = {
        "TableName": "t",
        "Key": {"PK": {"S": "X"}, "SK": {"S": "A"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for number in range(2):
        with running_aws(tmp_path) as server:
            dynamodb = server.client("dynamodb")
            if number == 0:
                create_platform_table(dynamodb, "t")
            dynamodb.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken="token-1")
            item = dynamodb.get_item(TableName="t", Key=update["Key"])["Item"]
            assert item["n"] == {"N": "1"}
            server.kill()


def test_20000_rows_are_there_after_a_restart(tmp_path: Path) -> None:
    """A folder with 20,000 rows is served, newest first, without reading them one by one over HTTP."""
    with running_aws(tmp_path) as server:
        create_platform_table(server.client("dynamodb"), "t")
    with sqlite3.connect(tmp_path / "aws.sqlite") as database:
        database.executemany(
            "INSERT INTO items VALUES ('ap-northeast-2', 't', ?, ?)",
            (
                (
                    f'[{{"S":"FN#{number % 50}"}},{{"S":"LOG#{number:05d}"}}]',
                    json.dumps(
                        {
                            "PK": {"S": f"FN#{number % 50}"},
                            "SK": {"S": f"LOG#{number:05d}"},
                            "GSI1PK": {"S": "LOGS"},
                            "GSI1SK": {"S": f"{number:05d}"},
                        }
                    ),
                )
                for number in range(20_000)
            ),
        )
    database.close()
    with running_aws(tmp_path) as server:
        dynamodb = server.client("dynamodb")
        newest = dynamodb.query(
            TableName="t",
            IndexName="GSI1",
            Limit=2,
            ScanIndexForward=False,
            KeyConditionExpression="GSI1PK = :p",
            ExpressionAttributeValues={":p": {"S": "LOGS"}},
        )
        assert [item["SK"]["S"] for item in newest["Items"]] == ["LOG#19999", "LOG#19998"]
        assert dynamodb.describe_table(TableName="t")["Table"]["ItemCount"] == 20_000


def test_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """Two writers would undo each other: the second one ends with one line that says so."""
    with running_aws(tmp_path):
        second = run_on(tmp_path)
    assert second.stderr == f"{tmp_path / 'aws.sqlite'}: is in use by another process\n"
    assert second.returncode == 1


def test_damaged_database_is_one_line(tmp_path: Path) -> None:
    """A file that is no database is named, with what to do."""
    (tmp_path / "aws.sqlite").write_bytes(b"no database" * 1000)
    ended = run_on(tmp_path)
    assert ended.stderr == (
        f"{tmp_path / 'aws.sqlite'}: is damaged (file is not a database): move the folder away to start empty\n"
    )
    assert ended.returncode == 1


@pytest.mark.parametrize("pragma", ["user_version=2", "application_id=5"])
def test_database_of_another_version_is_one_line(tmp_path: Path, pragma: str) -> None:
    """A database that another version wrote is left as it is."""
    with running_aws(tmp_path):
        pass
    database = sqlite3.connect(tmp_path / "aws.sqlite")
    database.execute(f"PRAGMA {pragma}")
    database.close()
    ended = run_on(tmp_path)
    assert "was written by another version" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.returncode == 1
