"""Base URLs as settings and the command line name them: what a path can be put behind, and nothing else."""

from urllib.parse import urlsplit

from gateway.records.hosts import parse_host


def parse_base_url(text: str, *, with_credentials: bool = True) -> str:
    """The URL without slashes at its end; ValueError says why it is none, without repeating its credentials."""
    if not text.lower().startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    if " " in text or not text.isprintable():
        raise ValueError("must have no spaces and no control characters")
    try:
        parts = urlsplit(text)
        _, port = parse_host(parts.hostname or ""), parts.port
    except ValueError as error:  # whose words may repeat a password
        raise ValueError("must have a host, and after a colon a port of 1 to 65535") from error
    if port == 0:
        raise ValueError("must have a port of 1 to 65535")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("must have no ? and no #: paths are put behind it")
    if not with_credentials and "@" in parts.netloc:
        raise ValueError("must have no user and no password")
    return text.rstrip("/")
