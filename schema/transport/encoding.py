"""JSON as it comes in and goes out: numbers keep every digit, and what is not JSON never gets further.

Answers are written by orjson, requests read by Python's json, which alone reads integers of any size.
"""

import json
import re
from collections.abc import Iterable
from math import isinf
from typing import Any, NoReturn

import orjson

from gateway.records.json_text import JSONNumber

MAX_JSON_DEPTH = 200
"""Levels of nesting in a request. orjson writes 254; real payloads have a dozen."""
MAX_DIGITS = 4_000
"""Of an integer; Python refuses to print more than 4,300, since it takes quadratic time."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")
_INT64_MIN, _UINT64_MAX = -(1 << 63), (1 << 64) - 1


def decode_json(data: str | bytes) -> Any:
    """Read a JSON text in UTF-8.

    Everything that is wrong with it is a JSONDecodeError: NaN, Infinity and numbers beyond the range of a
    double, half a surrogate pair, nesting beyond MAX_JSON_DEPTH.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(text, parse_constant=_refuse, parse_float=_parse_float, parse_int=_parse_int)
        if _SURROGATE_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH and _is_deep(value):
        raise json.JSONDecodeError(f"Nested deeper than {MAX_JSON_DEPTH} levels", "", 0)
    return value


def encode_json(value: object) -> bytes:
    """Write JSON in UTF-8, on one line; `orjson.Fragment`s go out as they are."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Integers beyond 64 bits and strings with half a surrogate pair are more than orjson writes.
        return orjson.dumps(_spell_out(value))


def _spell_out(value: Any) -> Any:
    """Replace what orjson refuses by fragments of JSON text."""
    if isinstance(value, dict):
        return {key: _spell_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell_out(item) for item in value]
    if isinstance(value, int) and not _INT64_MIN <= value <= _UINT64_MAX:
        return orjson.Fragment(str(value))
    if isinstance(value, JSONNumber):
        return orjson.Fragment(value.text)
    if isinstance(value, str) and not value.isascii():
        return orjson.Fragment(json.dumps(value))
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [item for container in level for item in _items(container)]
        if not level:
            return False
    return True


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _parse_float(text: str) -> float:
    value = JSONNumber(text)
    if isinf(value):
        raise ValueError(f"{text} is beyond the range of a double")
    return value


def _parse_int(text: str) -> int | JSONNumber:
    if text == "-0":
        return JSONNumber(text)  # an int has no such zero
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer has more than {MAX_DIGITS} digits")
    return int(text)
