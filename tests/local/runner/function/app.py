"""A function that does what its path says; the tests build it as a component and run it as source."""

import json
import os
import signal
import sys
import time
from urllib.parse import unquote, urlsplit

from spin_sdk import http, key_value, variables
from spin_sdk.http import Request, Response


class Repeated(dict[str, str]):
    """Headers with one name twice."""

    def items(self):  # type: ignore[no-untyped-def] # a list of pairs is all the SDK needs
        """The pairs to send."""
        return [*super().items(), ("set-cookie", "a=1"), ("set-cookie", "b=2")]


def describe(request: Request) -> bytes:
    """The request as the function sees it."""
    seen = {"method": request.method, "uri": request.uri, "headers": dict(request.headers)}
    return json.dumps(seen).encode()


class IncomingHandler(http.IncomingHandler):
    """The platform's function format."""

    def handle_request(self, request: Request) -> Response:
        """Look the path up; `/x?y` calls `x("y")`."""
        url = urlsplit(request.uri)
        action = getattr(self, f"do_{url.path.strip('/')}", None)
        if action is None:
            return Response(200, {"content-type": "text/plain"}, b"hello")
        answer: Response = action(request, unquote(url.query))
        return answer

    def do_echo(self, request: Request, _: str) -> Response:
        """The body."""
        return Response(201, {"content-type": "application/octet-stream"}, request.body)

    def do_about(self, request: Request, _: str) -> Response:
        """The request."""
        return Response(200, {"content-type": "application/json"}, describe(request))

    def do_status(self, _: Request, query: str) -> Response:
        """A status."""
        return Response(int(query), {}, b"body")

    def do_cookies(self, _: Request, __: str) -> Response:
        """One header twice."""
        return Response(200, Repeated(), b"")

    def do_header(self, _: Request, query: str) -> Response:
        """A header of that value."""
        return Response(200, {"x-value": query}, b"")

    def do_environment(self, _: Request, __: str) -> Response:
        """The environment variables."""
        return Response(200, {}, json.dumps(dict(os.environ)).encode())

    def do_print(self, _: Request, query: str) -> Response:
        """Prints to both outputs, the second without an end of line."""
        print(query)  # noqa: T201 - prints are what it is for
        sys.stderr.write(f"error {query}")
        return Response(200, {}, b"")

    def do_long(self, _: Request, query: str) -> Response:
        """Prints one line of so many characters."""
        print("x" * int(query))  # noqa: T201 - prints are what it is for
        return Response(200, {}, b"")

    def do_fail(self, _: Request, query: str) -> Response:
        """Raises."""
        raise ValueError(query)

    def do_loop(self, _: Request, __: str) -> Response:
        """Never comes back."""
        print("looping", flush=True)  # noqa: T201 - prints are what it is for
        while True:
            pass

    def do_sleep(self, _: Request, query: str) -> Response:
        """Sleeps for so many seconds."""
        print("sleeping", flush=True)  # noqa: T201 - prints are what it is for
        time.sleep(float(query))
        return Response(200, {}, b"slept")

    def do_memory(self, _: Request, query: str) -> Response:
        """Allocates so many MB."""
        return Response(200, {}, str(len(b"x" * (int(query) << 20))).encode())

    def do_compute(self, _: Request, query: str) -> Response:
        """Adds so many million numbers."""
        return Response(200, {}, str(sum(range(int(query) * 1_000_000))).encode())

    def do_send(self, request: Request, query: str) -> Response:
        """Passes the request on to another URL."""
        answer = http.send(Request(request.method, query, {"x-from": "function"}, request.body))
        return Response(answer.status, {"x-answer": answer.headers["x-answer"]}, answer.body)

    def do_variable(self, _: Request, query: str) -> Response:
        """A variable of Spin's."""
        return Response(200, {}, variables.get(query).encode())

    def do_store(self, _: Request, __: str) -> Response:
        """A key-value store of Spin's."""
        key_value.open_default()
        return Response(200, {}, b"")

    def do_process(self, _: Request, __: str) -> Response:
        """The id of its process; a component has none."""
        return Response(200, {}, str(os.getpid()).encode())

    def do_kill(self, _: Request, __: str) -> Response:
        """Ends its own process; only CPython has one to end."""
        os.kill(os.getpid(), signal.SIGKILL)
        return Response(200, {}, b"")
