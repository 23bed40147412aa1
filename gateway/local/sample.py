"""What a newcomer finds in a new data folder: a workspace with one function that is ready to deploy.

It is made through the gateway's own API, as anybody would make it.
"""

import base64
from typing import Any

import httpx

WORKSPACE_NAME = "Samples"
FUNCTION_NAME = "hello"
SOURCE = '''\
"""Answers with a greeting, and prints a line that shows up in the function's logs."""

from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        print(f"hello was called: {request.method} {request.uri}")
        return Response(200, {"content-type": "text/plain"}, bytes("Hello from Blue!", "utf-8"))
'''

CREATE_WORKSPACE = """
mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { workspace { id } } }
"""
CREATE_FUNCTION = """
mutation ($input: CreateFunctionInput!) { createFunction(input: $input) { function { id } } }
"""


class SampleError(Exception):
    """The gateway refused the sample; the message is its own."""


async def create_sample(gateway_url: str) -> str:
    """Create the workspace and its function; answers a line about them, SampleError when the gateway refuses."""
    async with httpx.AsyncClient(base_url=gateway_url, trust_env=False, timeout=15) as client:
        workspace = {"name": WORKSPACE_NAME, "description": "Something to begin with."}
        created = await _mutate(client, CREATE_WORKSPACE, workspace)
        function = {
            "workspaceId": created["createWorkspace"]["workspace"]["id"],
            "name": FUNCTION_NAME,
            "description": "Prints a line and answers with a greeting.",
            "httpMethods": ["GET", "POST"],
            "code": base64.b64encode(SOURCE.encode()).decode(),
        }
        await _mutate(client, CREATE_FUNCTION, function)
    return f'workspace "{WORKSPACE_NAME}" with the function "{FUNCTION_NAME}", ready to deploy'


async def _mutate(client: httpx.AsyncClient, document: str, values: dict[str, Any]) -> dict[str, Any]:
    try:
        response = await client.post("/graphql", json={"query": document, "variables": {"input": values}})
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SampleError(f"{type(error).__name__}: {error}") from error
    if answer.get("errors"):
        raise SampleError(answer["errors"][0].get("message", "unknown"))
    data: dict[str, Any] = answer["data"]
    return data
