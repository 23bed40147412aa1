"""What a person can do about a failed build: a hint below the builder's words, where one is known."""

import re

_HANDLER = """hint: a function is a module with this class:

from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        return Response(200, {"content-type": "text/plain"}, bytes("Hello", "utf-8"))"""

IRSA = """hint: the registry takes the pushes of those who may push. For ECR leave username and password out, so
that the Builder Service uses its own IAM role (IRSA): its service account needs the annotation
eks.amazonaws.com/role-arn, and the role ecr:GetAuthorizationToken, ecr:BatchCheckLayerAvailability,
ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage. A password of ECR is good
for 12 hours only."""

_HINTS = (
    (re.compile(r"(?:no attribute|cannot import name|undefined name)[^\n]{0,40}IncomingHandler"), _HANDLER),
    (re.compile(r"spin\.toml.{0,40}(?:not found|missing|no such)|(?:no|missing|find) spin\.toml", re.IGNORECASE),
     "hint: a zip needs a spin.toml at its root, beside the module it names."),
    (re.compile(r"namespaces? [\"'`](?P<name>[a-z0-9][a-z0-9-]{0,62})[\"'`] not found", re.IGNORECASE),
     "hint: make the namespace first: kubectl create namespace {name}"),
)  # fmt: skip

_PUSH = re.compile(r"\b(?:push(?:ing|ed)?|registry|ecr|docker login|image)\b", re.IGNORECASE)
_REFUSED = re.compile(
    r"\b40[13]\b|unauthori[sz]ed|forbidden|denied|authorization token|authentication required|not authorized"
    r"|credential|timed? ?out|timeout|deadline exceeded",
    re.IGNORECASE,
)


def find_hint(words: str, *, pushing: bool) -> str | None:
    """The hint for what the builder said; None where it says one itself, or none is known.

    `pushing` is a build that failed while it pushed: words such as `denied` are the registry's then.
    """
    if "hint:" in words.lower():
        return None
    for pattern, hint in _HINTS:
        found = pattern.search(words)
        if found is not None:
            return hint.replace("{name}", found.groupdict().get("name") or "")
    if "no basic auth credentials" in words or ((pushing or _PUSH.search(words)) and _REFUSED.search(words)):
        return IRSA
    return None
