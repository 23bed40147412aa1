"""The enums of functions, as GraphQL knows them; whoever annotates a field with one imports it from here."""

import strawberry

from gateway.records.functions import FunctionStatus, HttpMethod

__all__ = ["FunctionStatus", "HttpMethod"]

strawberry.enum(
    FunctionStatus,
    description="What a function is doing. Clients may set ACTIVE and DISABLED only.",
)
strawberry.enum(HttpMethod, description="An HTTP method a function may accept.")
