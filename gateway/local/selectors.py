"""Label matchers, `{name="value", other=~"expression"}`, which LogQL and PromQL share, and how they are read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.local.tokens import Token, compile_re2, split_tokens, unquote_go


class QuerySyntaxError(Exception):
    """The query can't be read at a place, which counts lines and columns from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label; a label that is missing counts as empty."""

    name: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None

    def accepts(self, value: str) -> bool:
        """Whether the label may have this value; expressions have to fit the whole of it."""
        equal = value == self.value if self.pattern is None else self.pattern.fullmatch(value) is not None
        return equal == (self.operator in {"=", "=~"})


def accepts_all(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether the labels meet every condition."""
    return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in matchers)


class QueryReader:
    """Reads a query token by token; what is unexpected is a QuerySyntaxError that names its place."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = split_tokens(query)
        self.next = next(self._tokens)

    def at(self, *texts: str) -> bool:
        """Whether one of these names or signs comes next."""
        return self.next.kind in {"sign", "name"} and self.next.text in texts

    def take(self, *texts: str) -> str:
        """Take one of these names or signs."""
        if not self.at(*texts):
            raise self.unexpected(" or ".join(texts))
        return self._advance().text

    def take_kind(self, kind: str) -> str:
        """Take a token of this kind, and give its text."""
        if self.next.kind != kind:
            raise self.unexpected(kind)
        return self._advance().text

    def take_string(self, *, is_pattern: bool) -> tuple[str, re.Pattern[str] | None]:
        """Take a string literal, and compile it if it is an expression."""
        place = self.next
        literal = self.take_kind("string")
        try:
            text = unquote_go(literal)
            return text, compile_re2(text) if is_pattern else None
        except (ValueError, OverflowError) as error:
            raise self._error(place, str(error)) from error

    def take_matchers(self) -> tuple[Matcher, ...]:
        """Take `{…}` with any number of matchers."""
        matchers: list[Matcher] = []
        self.take("{")
        while not self.at("}"):
            name = self.take_kind("name")
            operator = self.take("=", "!=", "=~", "!~")
            matchers.append(Matcher(name, operator, *self.take_string(is_pattern=operator in {"=~", "!~"})))
            if not self.at("}"):
                self.take(",")
        self.take("}")
        return tuple(matchers)

    def unexpected(self, expected: str) -> QuerySyntaxError:
        """The error for the token that comes next."""
        found = repr(self.next.text) if self.next.kind != "end" else "end of input"
        return self._error(self.next, f"unexpected {found}, expecting {expected}")

    def _advance(self) -> Token:
        token, self.next = self.next, next(self._tokens, self.next)
        return token

    def _error(self, token: Token, message: str) -> QuerySyntaxError:
        line = self._query.count("\n", 0, token.offset) + 1
        column = token.offset - self._query.rfind("\n", 0, token.offset)
        return QuerySyntaxError(message, line, column)
