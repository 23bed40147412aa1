"""The scalars of the contract: DateTime in +09:00, JSON, strict Base64; Upload is Strawberry's own.

JSON values may be `orjson.Fragment`s: stored JSON text goes out as it is, so that numbers keep every digit.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NewType

from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition, scalar

from gateway.records.clock import KST
from schema.json_literals import parse_json_literal

Base64Bytes = NewType("Base64Bytes", bytes)
"""Bytes that travel as Base64 text."""


MAX_REMEMBERED_TIMES = 16_384
"""What pages show is asked for again and again, every few seconds; about 4 MB."""


@lru_cache(maxsize=MAX_REMEMBERED_TIMES)
def serialize_datetime(value: datetime) -> str:
    """ISO 8601 in +09:00, with a fraction only where there is one."""
    return value.astimezone(KST).isoformat()


def parse_datetime(value: object) -> datetime:
    """Read ISO 8601 with an offset or Z; a naive time is refused, since it could mean any."""
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise GraphQLError(f"{value!r} is not an ISO 8601 time such as 2025-12-07T12:00:00+09:00.") from error
    if parsed.tzinfo is None:
        raise GraphQLError(f"{value!r} has no offset; add one such as +09:00, or Z for UTC.")
    try:
        parsed.astimezone(KST)  # as it is stored: the first and the last day of the calendar have no place there
    except OverflowError as error:
        raise GraphQLError(f"{value!r} is outside the years 1 to 9999.") from error
    return parsed


def serialize_base64(value: bytes) -> str:
    """Standard Base64 with padding."""
    return base64.b64encode(value).decode()


def parse_base64(value: object) -> bytes:
    """Read standard Base64 (RFC 4648 section 4); other alphabets, white space and wrong padding are refused."""
    if not isinstance(value, str):
        raise GraphQLError("Base64 has to be a string.")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GraphQLError(f"not valid Base64 (RFC 4648 section 4): {error}.") from error


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: scalar(
        name="DateTime",
        description='ISO 8601, answered in +09:00 ("2025-12-07T12:00:00+09:00"). Input needs an offset or Z.',
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=serialize_datetime,
        parse_value=parse_datetime,
    ),
    JSON: scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=parse_json_literal,
    ),
    Base64Bytes: scalar(
        name="Base64",
        description="Bytes as Base64, RFC 4648 section 4, validated strictly on input.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc4648#section-4",
        serialize=serialize_base64,
        parse_value=parse_base64,
    ),
}
"""For StrawberryConfig.scalar_map."""
