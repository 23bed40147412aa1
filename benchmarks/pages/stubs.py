"""`python -m benchmarks.pages.stubs`: DynamoDB, Loki and Prometheus on three ports, with a latency of each.

It prints the three addresses as one line of JSON. `PUT /latency` with {"dynamodb": ms, …} sets how long answers
take. Answers are computed once for each distinct request, so that they cost next to nothing.
"""

import asyncio
import json
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvloop

from benchmarks.pages.rows import loki_answer, make_rows, prometheus_answer

Answerer = Callable[[str, str, bytes], bytes]
"""Makes the body of an answer from the path, X-Amz-Target and the body of a request."""


class Dynamo:
    """Queries and BatchGetItems on the canned rows."""

    def __init__(self) -> None:
        self.lists = make_rows()
        self.by_key = {(row["PK"]["S"], row["SK"]["S"]): row for row in self.lists["keys"]}

    def answer(self, _path: str, target: str, body: bytes) -> bytes:
        """Answer one operation."""
        request = json.loads(body or b"{}")
        operation = target.rpartition(".")[2]
        match operation:
            case "Query":
                answer = self._query(request)
            case "BatchGetItem":
                answer = self._batch_get(request)
            case "GetItem":
                row = self.by_key.get((request["Key"]["PK"]["S"], request["Key"]["SK"]["S"]))
                answer = {"Item": _projected(request, row)} if row else {}
            case "DescribeTable":
                index: dict[str, Any] = {"IndexName": "GSI1", "IndexStatus": "ACTIVE"}
                index |= {"KeySchema": _keys("GSI1PK", "GSI1SK"), "Projection": {"ProjectionType": "ALL"}}
                table = {
                    "TableName": request["TableName"],
                    "TableStatus": "ACTIVE",
                    "KeySchema": _keys("PK", "SK"),
                }
                answer = {"Table": table | {"GlobalSecondaryIndexes": [index]}}
            case _:
                answer = {}
        return json.dumps(answer).encode()

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        values = [value["S"] for value in request["ExpressionAttributeValues"].values()]
        prefix = next((value.partition("#")[0] + "#" for value in values[1:] if "#" in value), "")
        rows = self.lists.get(f"{values[0]} {prefix}") or self.lists.get(f"{values[0]} ") or []
        rows = rows[: request.get("Limit", len(rows))]
        items = [_projected(request, row) for row in rows]
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}

    def _batch_get(self, request: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for table, wanted in request["RequestItems"].items():
            keys = [(key["PK"]["S"], key["SK"]["S"]) for key in wanted["Keys"]]
            found[table] = [_projected(wanted, self.by_key[key]) for key in keys if key in self.by_key]
        return {"Responses": found, "UnprocessedKeys": {}}


def _keys(pk: str, sk: str) -> list[dict[str, str]]:
    return [{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}]


def _projected(request: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    expression = request.get("ProjectionExpression")
    if not expression:
        return row
    names = request.get("ExpressionAttributeNames", {})
    wanted = {names.get(name.strip(), name.strip()) for name in expression.split(",")}
    return {name: value for name, value in row.items() if name in wanted}


class Stub(asyncio.Protocol):
    """One connection: HTTP/1.1 with a Content-Length, one request after the other."""

    def __init__(self, system: str, answer: Answerer, latencies: dict[str, float]) -> None:
        self.system, self.answer, self.latencies = system, answer, latencies
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods, not its class

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are complete."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = end + 4 + int(headers.get("content-length", 0))
            if len(self.buffer) < length:
                return
            body, self.buffer = self.buffer[end + 4 : length], self.buffer[length:]
            self._respond(lines[0].split(" ")[1], headers.get("x-amz-target", ""), body)

    def _respond(self, path: str, target: str, body: bytes) -> None:
        if path == "/latency":
            self.latencies.update(json.loads(body))
        key = (path.partition("?")[0], target, body if self.system == "dynamodb" else b"")
        found = ANSWERS.get((self.system, *key))
        if found is None:
            text = self.answer(*key)
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(text)}\r\n"
            )
            head += f"x-amzn-RequestId: BENCH\r\nx-amz-crc32: {zlib.crc32(text)}\r\n\r\n"
            found = ANSWERS[self.system, *key] = head.encode() + text
        latency_s = self.latencies[self.system] / 1000
        if latency_s:
            asyncio.get_running_loop().call_later(latency_s, self.transport.write, found)
        else:
            self.transport.write(found)


ANSWERS: dict[tuple[str, str, str, bytes], bytes] = {}


def _loki(_path: str, _target: str, _body: bytes) -> bytes:
    return loki_answer()


def _prometheus(path: str, _target: str, _body: bytes) -> bytes:
    return prometheus_answer(ranged=path.endswith("query_range"))


async def main() -> None:
    """Serve until the process is ended."""
    latencies = dict.fromkeys(("dynamodb", "loki", "prometheus"), 0.0)
    answerers: dict[str, Answerer] = {"dynamodb": Dynamo().answer, "loki": _loki, "prometheus": _prometheus}
    addresses = {}
    for system, answer in answerers.items():
        make = partial(Stub, system, answer, latencies)
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        addresses[system] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(addresses), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
