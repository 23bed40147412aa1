"""What `helm test` asks of a gateway: that it is ready, and answers GraphQL. The standard library will do."""

import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["GATEWAY_URL"]
WITHIN_S = float(os.environ.get("WITHIN_S", "60"))


def ask(path: str, body: object = None) -> str:
    """Send a request and return what was answered; an OSError where that is an error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"content-type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.read().decode(errors='replace')[:500]}") from error


def attempt() -> str | None:
    """Try both once; answers what is wrong."""
    for path, body, wanted in (
        ("/readyz", None, '"status":"ok"'),
        ("/graphql", {"query": "{ __typename }"}, '"__typename":"Query"'),
    ):
        try:
            answer = ask(path, body)
        except OSError as error:
            return f"{URL}{path}: {error}"
        if wanted not in answer.replace(" ", ""):
            return f"{URL}{path}: {answer[:500]}"
    return None


deadline = time.monotonic() + WITHIN_S
while (problem := attempt()) and time.monotonic() < deadline:
    time.sleep(1)
if problem:
    sys.exit(problem)
print("The gateway is ready and answers GraphQL.")  # noqa: T201  # the test's log
