"""Tokens of LogQL and PromQL, which share Go's string literals and RE2's expressions."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|!=|\|=|\|~|[^\sA-Za-z0-9_])""",
    re.VERBOSE,
)
ESCAPE = re.compile(
    rb"""\\(?:(?P<short>[abfnrtv\\"])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"""
    rb"""|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})|(?P<wrong>.))""",
    re.DOTALL,
)
SHORT = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"', strict=True))
NOT_IN_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:=|!|<=|<!|>|#|\()|\\[1-9]|[*+?}]\+)")
"""Look-around, back references, atomic groups and possessive repeats are Python's and not RE2's."""


class Token(NamedTuple):
    """A piece of a query; `kind` is a group of TOKEN, or `end`."""

    kind: str
    text: str
    offset: int


def split_tokens(query: str) -> Iterator[Token]:
    """The tokens of a query without white space and comments, then one of kind `end`."""
    offset = 0
    while offset < len(query):
        match = TOKEN.match(query, offset)
        if match is None:
            break
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match[0], offset)
        offset = match.end()
    yield Token("end", "", offset)


def unquote_go(literal: str) -> str:
    """What a Go string literal says; ValueError where Go would refuse it."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    return ESCAPE.sub(_unescape, literal[1:-1].encode()).decode(errors="replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    if match["short"]:
        return bytes([SHORT[match["short"][0]]])
    if match["byte"]:
        return bytes([int(match["byte"], 16)])
    if match["octal"]:
        return bytes([int(match["octal"], 8)])
    code = match["four"] or match["eight"]
    if code:
        return chr(int(code, 16)).encode()
    raise ValueError("invalid escape sequence")


def compile_re2(expression: str) -> re.Pattern[str]:
    """Compile an expression of RE2's syntax as far as Python's is the same; ValueError for the rest."""
    if NOT_IN_RE2.search(expression):
        raise ValueError(f"error parsing regexp: invalid or unsupported Perl syntax: `{expression}`")
    try:
        return re.compile(expression.replace(r"\z", r"\Z"))
    except re.error as error:
        raise ValueError(f"error parsing regexp: {error}: `{expression}`") from error
