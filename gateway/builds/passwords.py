"""Passwords cut out of the builder's words: the one that a registry was given, and what else looks like one.

Nothing here is stored or logged; which process knows a password is journey.py's.
"""

import html
import json
import re
from base64 import b64encode
from functools import reduce
from urllib.parse import quote, quote_plus

CUT = "***"
MIN_SECRET_CHARACTERS = 3
"""A shorter password is part of too many words to be cut out of them: it is as good as one that is not known."""
MIN_ENCODED_CHARACTERS = 6
"""Of a password's Base64; fewer may be a part of any word."""

_LOOKALIKES = (
    (re.compile(r"((?:--password|--token|-p) ['\"]?)[^\s'\"]{3,}"), r"\1***"),
    (re.compile(r"((?:password|passwd|token|secret)['\"]?\s?[=:]\s?['\"]?)[^\s'\"]{3,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:basic|bearer) )[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"(://[^\s/:@]{1,200}:)[^\s/@]{1,2000}@"), r"\1***@"),
)  # fmt: skip


def is_known(secret: str | None) -> bool:
    """Whether a password can be cut out of words; there is none to be where it is empty."""
    return secret is not None and (secret == "" or len(secret) >= MIN_SECRET_CHARACTERS)


def cut_lookalikes(words: str) -> str:
    """The words without what stands where passwords do."""
    return reduce(lambda text, one: one[0].sub(one[1], text), _LOOKALIKES, words)


def cut_secret(words: str, secret: str) -> str:
    """The words without this password, as programs spell it, nor the rest of one at which a text was cut off."""
    if not secret:
        return words
    spellings = sorted(_spellings(secret), key=len, reverse=True)
    for spelling in spellings:
        words = words.replace(spelling, CUT)
    for length in range(min(len(secret) - 1, len(words)), MIN_SECRET_CHARACTERS - 1, -1):
        if words.endswith(secret[:length]):
            words = words[:-length] + CUT
        if words.startswith(secret[-length:]):
            words = CUT + words[length:]
    return words


def _spellings(secret: str) -> set[str]:
    """A password as it is, in URLs, quoted for a shell, Python, JSON and HTML, and in a header's Base64."""
    plain = {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        secret.replace("'", "'\\''"),
        secret.replace("'", "'\"'\"'"),
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
    }
    encoded = {text for before in range(3) if len(text := _in_base64(secret, before)) >= MIN_ENCODED_CHARACTERS}
    return plain | encoded | {text.replace("+", "-").replace("/", "_") for text in encoded}


def _in_base64(secret: str, before: int) -> str:
    """What a password alone decides of the Base64 of `user:password`; so many bytes, modulo 3, are before it."""
    content = bytes(before) + secret.encode()
    text = b64encode(content).decode().rstrip("=")
    return text[(0, 2, 3)[before] : len(text) - (len(content) % 3 > 0)]
