"""What callers may send: each check answers the value as it is stored, or refuses it by the field's name."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeVar

from gateway.errors import InvalidInputError, PayloadTooLargeError

MAX_NAME_CHARACTERS = 100
MAX_DESCRIPTION_CHARACTERS = 1_000
MAX_URL_CHARACTERS = 2_048
MAX_ENVIRONMENT_BYTES = 32 * 1024
"""Names and values in all; Linux and Kubernetes bound the environment of a process too."""
MAX_RUNTIME_CHARACTERS = 50
MEMORY_MB = range(128, 1024 + 1)
TIMEOUT_S = range(1, 900 + 1)
MAX_NODE_IDS = 100

WORKSPACE_ID = re.compile(r"ws-[A-Za-z0-9]{4,32}")
FUNCTION_ID = re.compile(r"fn-[A-Za-z0-9]{4,32}")
BUILD_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

T = TypeVar("T")


def check_id(value: str, pattern: re.Pattern[str], *, field: str, example: str) -> str:
    """An id that matches as a whole; it goes into keys, paths and queries."""
    if not pattern.fullmatch(value):
        raise InvalidInputError(f"{field} must be an id such as {example}.", field=field)
    return value


def check_workspace_id(value: str, *, field: str = "workspaceId") -> str:
    """A workspace's id."""
    return check_id(value, WORKSPACE_ID, field=field, example="ws-1a2b3c4d")


def check_function_id(value: str, *, field: str = "functionId") -> str:
    """A function's id."""
    return check_id(value, FUNCTION_ID, field=field, example="fn-1a2b3c4d")


def check_build_id(value: str, *, field: str = "id") -> str:
    """A build's id, ours or the Builder Service's."""
    return check_id(value, BUILD_ID, field=field, example="V1StGXR8_Z5jdHi6B-myT4")


def check_name(value: str, *, field: str = "name") -> str:
    """A name of 1 to 100 characters after trimming, on one line."""
    name = value.strip()
    if not name:
        raise InvalidInputError(f"{field} must not be empty.", field=field)
    if len(name) > MAX_NAME_CHARACTERS:
        message = f"{field} must have at most {MAX_NAME_CHARACTERS} characters; it has {len(name)}."
        raise InvalidInputError(message, field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise InvalidInputError(f"{field} must not contain control characters or line breaks.", field=field)
    return name


def check_description(value: str | None, *, field: str = "description") -> str:
    """A description of up to 1,000 characters; line breaks and tabs are fine."""
    text = (value or "").strip()
    if len(text) > MAX_DESCRIPTION_CHARACTERS:
        message = f"{field} must have at most {MAX_DESCRIPTION_CHARACTERS} characters; it has {len(text)}."
        raise InvalidInputError(message, field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\r\t" for character in text):
        raise InvalidInputError(f"{field} must not contain control characters.", field=field)
    return text


def check_runtime(value: str, *, field: str = "runtime") -> str:
    """The runtime's name."""
    runtime = check_name(value, field=field)
    if len(runtime) > MAX_RUNTIME_CHARACTERS:
        raise InvalidInputError(f"{field} must have at most {MAX_RUNTIME_CHARACTERS} characters.", field=field)
    return runtime


def check_memory(value: int) -> int:
    """Memory in MB."""
    return _check_range(value, MEMORY_MB, field="memory", unit="MB")


def check_timeout(value: int) -> int:
    """A timeout in seconds."""
    return _check_range(value, TIMEOUT_S, field="timeout", unit="seconds")


def _check_range(value: int, allowed: range, *, field: str, unit: str) -> int:
    if value not in allowed:
        message = f"{field} must be {allowed.start} to {allowed.stop - 1} {unit}; it is {value}."
        raise InvalidInputError(message, field=field)
    return value


def check_methods(values: Sequence[T], *, field: str = "httpMethods") -> tuple[T, ...]:
    """At least one HTTP method, each once."""
    if not values:
        raise InvalidInputError(f"{field} must have at least one method.", field=field)
    return tuple(dict.fromkeys(values))


def check_environment(pairs: Iterable[tuple[str, str]], *, field: str = "environmentVariables") -> dict[str, str]:
    """Environment variables with valid names, each once, up to 32 KB in all."""
    environment: dict[str, str] = {}
    for index, (name, value) in enumerate(pairs):
        path = f"{field}.{index}"
        if not ENVIRONMENT_NAME.fullmatch(name):
            message = (
                f"{name[:60]!r} is no name of an environment variable: letters, digits and _, no digit first."
            )
            raise InvalidInputError(message, field=f"{path}.name")
        if name in environment:
            raise InvalidInputError(f"The environment variable {name} is given twice.", field=f"{path}.name")
        if "\0" in value:
            raise InvalidInputError(f"The value of {name} must not contain NUL.", field=f"{path}.value")
        environment[name] = value
    try:
        size = sum(len(name) + len(value.encode()) for name, value in environment.items())
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{field} must be valid Unicode text.", field=field) from error
    if size > MAX_ENVIRONMENT_BYTES:
        message = f"{field} must have at most {MAX_ENVIRONMENT_BYTES} bytes in all; it has {size}."
        raise InvalidInputError(message, field=field)
    return environment


def check_code(code: bytes, *, max_bytes: int, field: str = "code") -> bytes:
    """Python source as UTF-8, within the size that the setting MAX_CODE_BYTES allows."""
    if len(code) > max_bytes:
        message = f"{field} must have at most {max_bytes} bytes; it has {len(code)}."
        raise PayloadTooLargeError(message, field=field)
    if not code.strip():
        raise InvalidInputError(f"{field} must not be empty.", field=field)
    try:
        text = code.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{field} must be Base64 of UTF-8 text: {error}.", field=field) from error
    if "\0" in text:
        raise InvalidInputError(f"{field} must not contain NUL characters.", field=field)
    return code


def normalize_url(value: str, *, field: str = "invocationUrl") -> str:
    """A URL of up to 2,048 characters; a missing scheme becomes http://."""
    url = value.strip()
    if "://" not in url:
        url = f"http://{url}"
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidInputError(f"{field} must have at most {MAX_URL_CHARACTERS} characters.", field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zs", "Zl", "Zp"} for character in url):
        raise InvalidInputError(f"{field} must not contain spaces or control characters.", field=field)
    return url
