"""String literals as Go has them, and with it LogQL and PromQL."""

import re

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')


def quote_go(text: str) -> str:
    """Write a text as a Go string literal."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"
