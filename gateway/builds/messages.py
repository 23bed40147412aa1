"""A failed build's words, made fit for people: no temporary paths, a hint where one is known, a bounded length."""

import re

MAX_ERROR_CHARACTERS = 16_000
"""Of `Build.error`: about 200 lines, and far below the 400 KB that its row may have."""

_TEMPORARY = re.compile(r"(?:/[^/\s:'\"(]+)*/(?:spin_build_[^/\s:'\"]+|tmp[A-Za-z0-9_]{6,})/")
"""The folder a build ran in, up to the person's own path."""

_HANDLER_HINT = """hint: a function is a module with this class:

from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        return Response(200, {"content-type": "text/plain"}, bytes("Hello", "utf-8"))"""

_HINTS = (
    (re.compile(r"has no attribute '?IncomingHandler"), _HANDLER_HINT),
    (re.compile(r"spin\.toml.{0,40}(?:not found|missing)|no spin\.toml", re.IGNORECASE),
     "hint: a zip needs a spin.toml at its root, beside the module it names."),
    (re.compile(r"[Nn]amespaces? [\"'](?P<name>[a-z0-9-]+)[\"'] not found"),
     "hint: make the namespace first: kubectl create namespace {name}"),
)  # fmt: skip


def explain_failure(error: str | None) -> str:
    """What `Build.error` says of the builder's words."""
    words = _TEMPORARY.sub("", (error or "").strip()) or "The Builder Service gave no reason."
    return cut_middle(_with_hint(words))


def cut_middle(text: str, maximum: int = MAX_ERROR_CHARACTERS) -> str:
    """Keep both ends of a text that is too long: what failed first, and how it ended."""
    if len(text) <= maximum:
        return text
    half = maximum // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def name_duration(seconds: float) -> str:
    """A time limit in words, such as `10 minutes`."""
    if seconds >= 60 and seconds % 60 == 0:
        minutes = int(seconds // 60)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"


def _with_hint(words: str) -> str:
    if "hint:" in words.lower():
        return words
    for pattern, hint in _HINTS:
        found = pattern.search(words)
        if found is not None:
            return f"{words}\n{hint.replace('{name}', found.groupdict().get('name') or '')}"
    return words
