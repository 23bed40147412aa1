"""Origins of web pages as a setting names them; browsers send them in lower case, without a default port."""

import re
from collections.abc import Iterable

ANY = "*"
_ENTRY = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}|\*))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_NOTHING = "(?!)"


class AllowedOrigins:
    """Whose pages may call: `https://a.example.com`, `http://localhost:*` for any port, or `*` for any page.

    `pattern` matches, from end to end, each of those that are named. ValueError says which entry is none.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        named = list(entries)
        self.are_any = ANY in named
        self.pattern = "|".join(_pattern_of(entry) for entry in named if entry != ANY) or _NOTHING

    def has(self, origin: str) -> bool:
        """Whether a page of this origin, as its browser sends it, may call."""
        return self.are_any or re.fullmatch(self.pattern, origin) is not None


def _pattern_of(entry: str) -> str:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise ValueError(f"{entry!r} is no origin such as https://console.example.com or http://localhost:*")
    scheme, host, port = found[1].lower(), re.escape(found[2].lower()), found[3]
    if port == ANY:
        return f"{scheme}://{host}(:[0-9]+)?"
    return f"{scheme}://{host}" if port in {None, _DEFAULT_PORTS[scheme]} else f"{scheme}://{host}:{port}"
