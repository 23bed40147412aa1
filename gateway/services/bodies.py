"""Bodies as execution logs hold them: JSON text, exact, bounded, and never lost because of what they are."""

import base64
import json
import zlib

MAX_REQUEST_LOG_BYTES = 64 * 1024
"""Of the JSON text of a request; a row holds 400 KB in all."""
MAX_RESPONSE_LOG_BYTES = 256 * 1024
"""Of the JSON text of a response."""
MAX_TYPE_CHARACTERS = 200
"""Of a content type that is shown beside Base64; real ones have 30."""
TEXT_TYPES = ("text/", "application/javascript", "application/xml", "application/x-www-form-urlencoded")
ZLIB_WINDOW = 32 + zlib.MAX_WBITS
"""Read gzip and deflate alike, by their headers."""


class BodyLog:
    """What a log will keep of a body, collected while the body passes by; `limit` is in bytes."""

    def __init__(self, limit: int, *, content_type: str = "", encoding: str = "") -> None:
        self._limit = limit
        self._content_type = content_type
        self._encoding = encoding.strip().lower()
        self._kept = bytearray()
        self.size_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Note the next piece."""
        self.size_bytes += len(chunk)
        if len(self._kept) <= self._limit:  # one byte more than the limit shows that it was passed
            self._kept += chunk[: self._limit + 1 - len(self._kept)]

    def text(self, *, size_bytes: int | None = None) -> str | None:
        """JSON text of at most the limit; None of an empty body.

        JSON stays as it came, text becomes a string, binary `{base64, contentType}`; what is beyond the limit
        becomes `{truncated, bytes, text}`. `size_bytes` is the body's size where it was not read to its end.
        """
        if not self.size_bytes:
            return None
        body, size_bytes, is_cut = bytes(self._kept), size_bytes or self.size_bytes, self.size_bytes > self._limit
        if self._encoding in {"gzip", "deflate"} and not is_cut:
            body, is_cut = _decompressed(body, self._limit)
            size_bytes = len(body)
        if not is_cut:
            text = _as_json(body, self._content_type)
            if len(text.encode()) <= self._limit:
                return text
        # An eighth at the most: each of its bytes may become six characters.
        beginning = body[: self._limit // 8].decode(errors="replace")
        cut = {"truncated": True, "bytes": size_bytes, "text": beginning}
        return json.dumps(cut, ensure_ascii=False)


def is_json(text: str) -> bool:
    """Whether the text is strict JSON: no NaN, no Infinity."""
    try:
        json.loads(text, parse_constant=_refuse, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return True


def _as_json(body: bytes, content_type: str) -> str:
    """A whole body as JSON text, of any length."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _binary(body, content_type)
    if is_json(text):
        return text
    if "\0" in text and not content_type.strip().lower().startswith(TEXT_TYPES):
        return _binary(body, content_type)
    return json.dumps(text, ensure_ascii=False)


def _binary(body: bytes, content_type: str) -> str:
    encoded = base64.b64encode(body).decode()
    return json.dumps({"base64": encoded, "contentType": content_type[:MAX_TYPE_CHARACTERS]})


def _decompressed(body: bytes, limit: int) -> tuple[bytes, bool]:
    """A compressed body's content and whether it goes on beyond the limit; what can't be read stays as it is."""
    try:
        content = zlib.decompressobj(ZLIB_WINDOW).decompress(body, limit + 1)
    except zlib.error:
        return body, False
    return content, len(content) > limit


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
