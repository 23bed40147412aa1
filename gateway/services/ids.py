"""New ids: random, so that replicas need not agree."""

import secrets
import string

SHORT_ALPHABET = string.ascii_lowercase + string.digits
SHORT_CHARACTERS = 8
"""36**8 ids; a create that meets one that exists is refused by its condition."""
LONG_ALPHABET = string.ascii_letters + string.digits
LONG_CHARACTERS = 22
"""As many as the former backend's; without `-`, none of these ids looks like one of the short ones."""


def new_workspace_id() -> str:
    """Such as `ws-1a2b3c4d`."""
    return f"ws-{_random(SHORT_ALPHABET, SHORT_CHARACTERS)}"


def new_function_id() -> str:
    """Such as `fn-1a2b3c4d`."""
    return f"fn-{_random(SHORT_ALPHABET, SHORT_CHARACTERS)}"


def new_build_id() -> str:
    """22 letters and digits."""
    return _random(LONG_ALPHABET, LONG_CHARACTERS)


def new_log_id() -> str:
    """22 letters and digits."""
    return _random(LONG_ALPHABET, LONG_CHARACTERS)


def _random(alphabet: str, characters: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(characters))
