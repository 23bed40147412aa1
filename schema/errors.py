"""What clients get to see of failures: every GraphQL error gets `extensions` with a code, or is masked.

The codes of GatewayError and its subclasses are in gateway/errors.py; those of the GraphQL layer are here. It
works in one place for queries, mutations and subscriptions over every transport: the schema's process_errors.
"""

import logging
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from graphql import (
    BREAK,
    SKIP,
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    ListValueNode,
    Node,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from gateway.errors import GatewayError, UpstreamError

BAD_REQUEST = "BAD_REQUEST"
GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
VALIDATION_ERROR = "VALIDATION_ERROR"
INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"

MASKED_MESSAGE = "Internal server error"
"""All that clients learn about what nobody expected; the log has the rest under the same id."""

logger = logging.getLogger(__name__)

_VARIABLE = re.compile(
    r"Variable '\$(?P<name>\w+)' has invalid (?:default )?value"
    r"(?: at (?P<path>(?:\.\w+|\[\d+\])+))?: (?P<reason>.*)",
    re.DOTALL,
)
_NAMED_FIELD = re.compile(r"Expected value of type '[^']+' (?:not )?to include (?:required|unknown) field '(\w+)'")
_WHOLE_VALUE = re.compile(
    r"(Expected value of type '[^']+' (?:not )?to include \w+ field '[^']*')"
    r"(?:(\. Did you mean [^?]*\?) Found|, found): .*",
    re.DOTALL,
)
_REQUEST_ERRORS = (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)


def coded(error: GraphQLError, code: str, *, field: str | None = None) -> GraphQLError:
    """Make the same error with a code, and without the original one, which only the log is for."""
    extensions: dict[str, Any] = {"code": code, "retryable": False}
    if field:
        extensions["field"] = field
    message = _plain(error.message) if code == VALIDATION_ERROR else error.message
    return _with_extensions(error, message, extensions)


def translate_errors(errors: list[GraphQLError], document: DocumentNode | None) -> None:
    """Give every error of the list its code, in place; what is unexpected is logged with an id and masked.

    A failure that several fields share, such as one upstream call of a dataloader, is logged once. Doing it
    twice changes nothing.
    """
    logged: dict[int, str] = {}
    errors[:] = [_translate(error, document, logged) for error in errors]


def literal_field(document: DocumentNode, node: Node, below: Sequence[str | int], message: str) -> str | None:
    """Find the path below `input` of what a message is about, such as `memory`.

    `node` is the value that an argument has in the document, or a part of it; `below` leads on from there. None
    when no argument has it, such as the default of a variable.
    """
    path = _path_of(document, lambda candidate: candidate is node)
    if path is None:
        return None
    path += [str(key) for key in below]
    named = _NAMED_FIELD.match(message)
    if named and path[-1:] != [named[1]]:
        path.append(named[1])
    return _below_input(path)


def log_unexpected(error: BaseException, where: str) -> str:
    """Log an unexpected error with its traceback, and make the id that leads from an answer to it."""
    error_id = uuid.uuid4().hex
    logger.error("unexpected error %s in %s", error_id, where, exc_info=error)
    return error_id


def masked_extensions(error_id: str) -> dict[str, Any]:
    """The `extensions` of an unexpected error."""
    return {"code": INTERNAL_SERVER_ERROR, "retryable": False, "details": {"errorId": error_id}}


def _translate(error: GraphQLError, document: DocumentNode | None, logged: dict[int, str]) -> GraphQLError:
    cause = _root_cause(error)
    if isinstance(cause, GatewayError):
        if isinstance(cause, UpstreamError) and id(cause) not in logged:
            logged[id(cause)] = cause.code
            logger.warning("%s: %s", cause.code, cause.message)
        return _with_extensions(error, cause.message, cause.extensions)
    if isinstance(cause, GraphQLError) and error.extensions and "code" in error.extensions:
        return error
    if isinstance(error, GraphQLSyntaxError):
        too_long = error.message.endswith("tokens. Parsing aborted.")
        return coded(error, QUERY_TOO_COMPLEX if too_long else GRAPHQL_PARSE_FAILED)
    if isinstance(cause, _REQUEST_ERRORS):
        return coded(error, BAD_REQUEST)
    if error.path is None and (variable := _VARIABLE.match(error.message)):
        return coded(error, VALIDATION_ERROR, field=_variable_field(variable, document))
    if error.path is None and error.message.startswith(("Variable", "Too many errors processing variables")):
        return coded(error, VALIDATION_ERROR)
    if isinstance(cause, GraphQLError) and error.message.startswith("Argument '"):
        # A variable inside a literal that turns out null or absent: seen only when the field is executed.
        node = error.nodes[0] if error.nodes else None
        field = literal_field(document, node, (), error.message) if document and node else None
        return coded(error, VALIDATION_ERROR, field=field)
    where = ".".join(str(key) for key in error.path) if error.path else "the operation"
    if id(cause) not in logged:
        logged[id(cause)] = log_unexpected(cause, where)
    return _with_extensions(error, MASKED_MESSAGE, masked_extensions(logged[id(cause)]))


def _root_cause(error: Exception) -> Exception:
    while isinstance(error, GraphQLError) and isinstance(error.original_error, Exception):
        error = error.original_error
    return error


def _plain(message: str) -> str:
    """Say null where the library says None, and leave out the object around a field: it may hold secrets."""
    message = re.sub(r" not to be None\.$", " not to be null.", message)
    return _WHOLE_VALUE.sub(lambda match: match[1] + (match[2] or "."), message)


def _with_extensions(error: GraphQLError, message: str, extensions: dict[str, Any]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def _variable_field(match: re.Match[str], document: DocumentNode | None) -> str:
    """Join where the variable is used and where in its value the fault is."""
    name = match["name"]

    def is_variable(node: Node) -> bool:
        return isinstance(node, VariableNode) and node.name.value == name

    path = (_path_of(document, is_variable) if document else None) or [name]
    path += re.findall(r"\w+", match["path"] or "")
    if named := _NAMED_FIELD.match(match["reason"]):
        path.append(named[1])
    return _below_input(path)


def _below_input(path: list[str]) -> str:
    return ".".join(path[1:] if path[0] == "input" and len(path) > 1 else path)


def _path_of(document: DocumentNode, is_target: Callable[[Node], bool]) -> list[str] | None:
    """The argument's name and the keys within it that lead to a value, or None when no argument has it."""
    locator = _Locator(is_target)
    visit(document, locator)
    return locator.path


class _Locator(Visitor):
    def __init__(self, is_target: Callable[[Node], bool]) -> None:
        super().__init__()
        self.is_target = is_target
        self.path: list[str] | None = None

    def enter_argument(self, node: ArgumentNode, *_args: Any) -> VisitorAction:
        below = self._search(node.value)
        if below is None:
            return SKIP
        self.path = [node.name.value, *below]
        return BREAK

    def _search(self, value: ValueNode) -> list[str] | None:
        if self.is_target(value):
            return []
        children: list[tuple[str, ValueNode]] = []
        if isinstance(value, ObjectValueNode):
            for member in value.fields:
                if self.is_target(member):
                    return [member.name.value]
                children.append((member.name.value, member.value))
        elif isinstance(value, ListValueNode):
            children = [(str(index), item) for index, item in enumerate(value.values)]
        for key, child in children:
            below = self._search(child)
            if below is not None:
                return [key, *below]
        return None
