"""Cuts what a function prints into log lines."""

LINE_LIMIT_BYTES = 256 * 1024
"""Loki's default `max_line_size`: it refuses longer ones."""


class LineSplitter:
    """Takes bytes as they come, gives lines as text; what a line has beyond the limit is left out."""

    def __init__(self) -> None:
        self._open = bytearray()

    def feed(self, piece: bytes) -> list[str]:
        """The lines that `piece` completes."""
        *ended, rest = piece.split(b"\n")
        lines = []
        for part in ended:
            self._add(part)
            lines.append(self._take())
        self._add(rest)
        return lines

    def end(self) -> list[str]:
        """The line left open at the end of the stream, if there is one."""
        return [self._take()] if self._open else []

    def _add(self, part: bytes) -> None:
        self._open += part[: LINE_LIMIT_BYTES - len(self._open)]

    def _take(self) -> str:
        text = bytes(self._open).removesuffix(b"\r").decode(errors="replace")
        self._open.clear()
        # U+FFFD takes three bytes where there was one.
        return text.encode()[:LINE_LIMIT_BYTES].decode(errors="ignore")
