"""New ids: random, so that replicas need not agree."""

import secrets
import string

ALPHABET = string.ascii_lowercase + string.digits
ID_CHARACTERS = 8
"""36**8 ids; a create that meets one that exists is refused by its condition."""


def new_workspace_id() -> str:
    """Such as `ws-1a2b3c4d`."""
    return f"ws-{_random()}"


def new_function_id() -> str:
    """Such as `fn-1a2b3c4d`."""
    return f"fn-{_random()}"


def new_build_id() -> str:
    """22 URL-safe characters, as the former backend had them."""
    return secrets.token_urlsafe(16)


def new_log_id() -> str:
    """22 URL-safe characters."""
    return secrets.token_urlsafe(16)


def _random() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARACTERS))
