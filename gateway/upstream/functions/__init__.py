"""The deployed functions: HTTP calls to the hosts that are allowed, and to no others."""

from gateway.upstream.functions.client import Functions, open_functions
from gateway.upstream.functions.exchange import Body, FunctionResponse, UnreachableError
from gateway.upstream.functions.hosts import AllowedHosts, HostNotAllowedError

__all__ = [
    "AllowedHosts",
    "Body",
    "FunctionResponse",
    "Functions",
    "HostNotAllowedError",
    "UnreachableError",
    "open_functions",
]
