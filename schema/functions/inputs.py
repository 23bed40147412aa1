"""What clients send about functions."""

from datetime import datetime
from typing import cast

import strawberry
from strawberry.scalars import JSON

from gateway.errors import InvalidInputError
from gateway.services.function_changes import FunctionChanges
from schema.functions.enums import FunctionStatus, HttpMethod
from schema.scalars import Base64Bytes

CLEARABLE = frozenset({"description", "invocation_url"})
"""What null clears; for the rest it has no meaning."""


@strawberry.input(description="An environment variable of a function.")
class EnvironmentVariableInput:
    """A name and a value."""

    name: str = strawberry.field(description="Letters, digits and `_`, no digit first; each name once.")
    value: str = strawberry.field(description="Its value; 32 KB in all for names and values.")


@strawberry.input(description="A new function.")
class CreateFunctionInput:
    """A new function."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace it is to belong to.")
    name: str = strawberry.field(description="1 to 100 characters after trimming, no control characters.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="Up to 1,000 characters.")
    runtime: str = strawberry.field(default="Python 3.12", description="What it runs on.")
    memory: int = strawberry.field(default=256, description="MB, 128 to 1024.")
    timeout: int = strawberry.field(default=30, description="Seconds, 1 to 900.")
    http_methods: list[HttpMethod] = strawberry.field(
        default_factory=lambda: [HttpMethod.GET], description="The methods it may be invoked with; at least one."
    )
    environment_variables: list[EnvironmentVariableInput] = strawberry.field(
        default_factory=list, description="What it finds in its environment: up to 1,000, of 32 KB in all."
    )
    code: Base64Bytes = strawberry.field(description="The Python source, UTF-8, as Base64.")


@strawberry.input(description="Changes to a function; only the fields given change.")
class UpdateFunctionInput:
    """Changes to a function."""

    id: strawberry.ID = strawberry.field(description="The function.")
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="1 to 100 characters after trimming."
    )
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="Up to 1,000 characters; null clears it."
    )
    runtime: str | None = strawberry.field(default=strawberry.UNSET, description="What it runs on.")
    memory: int | None = strawberry.field(default=strawberry.UNSET, description="MB, 128 to 1024.")
    timeout: int | None = strawberry.field(default=strawberry.UNSET, description="Seconds, 1 to 900.")
    http_methods: list[HttpMethod] | None = strawberry.field(
        default=strawberry.UNSET, description="The methods it may be invoked with; at least one."
    )
    environment_variables: list[EnvironmentVariableInput] | None = strawberry.field(
        default=strawberry.UNSET, description="All of its environment, in place of the one before."
    )
    code: Base64Bytes | None = strawberry.field(
        default=strawberry.UNSET, description="The Python source, UTF-8, as Base64."
    )
    status: FunctionStatus | None = strawberry.field(default=strawberry.UNSET, description="ACTIVE or DISABLED.")
    invocation_url: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Where the platform runs it; a missing scheme becomes http://, null clears it.",
    )
    last_deployed: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="When it was last deployed, for clients that deploy by themselves."
    )

    def to_changes(self) -> FunctionChanges:
        """What was given; null is refused where it has no meaning."""
        changes = {
            name: value for name, value in vars(self).items() if name != "id" and value is not strawberry.UNSET
        }
        for name, value in changes.items():
            if value is None and name not in CLEARABLE:
                field = _camel_case(name)
                raise InvalidInputError(f"{field} must not be null; leave it out to keep it.", field=field)
        if "environment_variables" in changes:
            changes["environment_variables"] = pairs(changes["environment_variables"])
        return cast("FunctionChanges", changes)  # the input's fields are the changes' keys


@strawberry.input(description="The function to delete.")
class DeleteFunctionInput:
    """The function to delete."""

    id: strawberry.ID = strawberry.field(description="The function.")


@strawberry.input(description="How to call a function.")
class InvokeFunctionInput:
    """How to call a function."""

    function_id: strawberry.ID = strawberry.field(description="The function; it has to be deployed.")
    method: HttpMethod | None = strawberry.field(
        default=strawberry.UNSET,
        description="One of the function's methods. Default: POST where it allows that, else its first.",
    )
    path: str = strawberry.field(default="/", description="Path and query, starting with /.")
    body: JSON | None = strawberry.field(
        default=strawberry.UNSET, description="Sent as JSON; nothing is sent where it is left out or null."
    )


def pairs(variables: list[EnvironmentVariableInput]) -> list[tuple[str, str]]:
    """Names and values, in the order given."""
    return [(variable.name, variable.value) for variable in variables]


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
