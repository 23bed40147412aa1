"""Bodies as execution logs hold them."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.bodies import MAX_REQUEST_LOG_BYTES, MAX_RESPONSE_LOG_BYTES, BodyLog, is_json


def logged(body: bytes, content_type: str = "", encoding: str = "", limit: int = 1_000) -> str | None:
    """A body's text, noted in pieces."""
    log = BodyLog(limit, content_type=content_type, encoding=encoding)
    for start in range(0, len(body), 7_001):
        log.add(body[start : start + 7_001])
    return log.text()


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901234567890123456789012345",
        "[1e200, -0.0, -0, 0.1000000000000000055, 1E+400, 1.0]",
        "[" * 40 + "]" * 40,
        '{"a": 1, "a": 2}',
        '"\\ud800"',
        '"\\u0000"',
        " [ 1 ]\n",
        "null",
        "9" * 900,
    ],
)
def test_text_when_it_is_json(text: str) -> None:
    """JSON stays as it came, to the last digit and blank."""
    assert logged(text.encode()) == text


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"plain", "", "plain"),
        (b"NaN", "", "NaN"),
        (b"[Infinity]", "application/json", "[Infinity]"),
        (b"{broken", "application/json", "{broken"),
        ("\ufeff{}".encode(), "application/json", "\ufeff{}"),
        ("안녕".encode(), "text/plain; charset=utf-8", "안녕"),
        (b"a\x00b", "text/plain", "a\x00b"),
        (b"a\x00b", "", {"base64": "YQBi", "contentType": ""}),
        (b"\xff\xfe", "text/plain", {"base64": "//4=", "contentType": "text/plain"}),
        (b"\xed\xa0\x80", "", {"base64": "7aCA", "contentType": ""}),
        (b"[" * 900, "", "[" * 900),
        (b"\xff", "x" * 5_000, {"base64": "/w==", "contentType": "x" * 200}),
    ],
)
def test_text_when_it_is_not_json(body: bytes, content_type: str, expected: Any) -> None:
    """Text is a string, binary is Base64 with its type."""
    text = logged(body, content_type)
    assert text is not None
    assert json.loads(text) == expected


def test_text_when_nested_beyond_what_python_reads() -> None:
    """JSON of 100,000 levels is a text, not an error."""
    assert logged(b"[" * 100_000 + b"]" * 100_000, limit=300_000) == json.dumps("[" * 100_000 + "]" * 100_000)


def test_text_when_it_is_empty() -> None:
    """No body is None."""
    assert logged(b"") is None


def test_text_when_it_is_too_long() -> None:
    """What is beyond the limit is its beginning and its size."""
    text = logged(b"x" * 10_000_000, limit=MAX_RESPONSE_LOG_BYTES)
    assert text is not None
    assert json.loads(text) == {"truncated": True, "bytes": 10_000_000, "text": "x" * 32_768}


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_text_when_it_is_compressed(encoding: str, compress: Any) -> None:
    """The content is shown, and a bomb is cut like everything else."""
    assert logged(compress(b'{"a": 1}'), "application/json", encoding) == '{"a": 1}'
    bomb = logged(compress(b"x" * 500_000), "text/plain", encoding)
    assert bomb is not None
    assert json.loads(bomb)["truncated"] is True
    assert logged(b"not so", "text/plain", encoding) == '"not so"'


BODIES = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=300).map(str.encode),
    st.builds(lambda piece, times: piece * times, st.binary(min_size=1, max_size=8), st.integers(1, 60_000)),
    st.builds(
        lambda piece, times: (piece * times).encode(), st.text(min_size=1, max_size=4), st.integers(1, 40_000)
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(BODIES, st.text(max_size=30), st.sampled_from(["", "gzip", "deflate", "br"]))
def test_text_of_anything(body: bytes, content_type: str, encoding: str) -> None:
    """Whatever it is, it is strict JSON in UTF-8 within the limit; JSON stays what it was."""
    text = logged(body, content_type, encoding, limit=MAX_REQUEST_LOG_BYTES)
    if text is None:
        assert body == b""
        return
    assert len(text.encode()) <= MAX_REQUEST_LOG_BYTES
    assert is_json(text)
    if encoding in {"", "br"} and len(body) <= MAX_REQUEST_LOG_BYTES:
        try:
            was_json = is_json(body.decode())
        except UnicodeDecodeError:
            was_json = False
        if was_json:
            assert text == body.decode()
