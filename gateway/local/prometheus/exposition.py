"""The text exposition format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import re
from collections.abc import Iterator

SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*"
)
LABEL = re.compile(r'\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"(?P<value>(?:\\.|[^"\\])*)"\s*(?:,|$)')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Labels = tuple[tuple[str, str], ...]
"""Sorted by name; the metric's name is `__name__`."""


class ExpositionError(Exception):
    """A line that is no sample, comment or blank."""


def parse_exposition(text: str) -> Iterator[tuple[Labels, float]]:
    """The samples of an exposition; the time of a sample is that of the scrape, whatever the line says."""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = SAMPLE.fullmatch(line.strip())
        if match is None:
            raise ExpositionError(f"not a sample: {line!r}")
        try:
            value = float(match["value"])
        except ValueError as error:
            raise ExpositionError(f"not a number: {line!r}") from error
        labels = dict(_parse_labels(match["labels"] or ""))
        yield tuple(sorted({**labels, "__name__": match["name"]}.items())), value


def _parse_labels(text: str) -> Iterator[tuple[str, str]]:
    offset = 0
    while offset < len(text):
        match = LABEL.match(text, offset)
        if match is None:
            raise ExpositionError(f"not labels: {text!r}")
        yield match["name"], re.sub(r"\\.", lambda escape: ESCAPES.get(escape[0], escape[0]), match["value"])
        offset = match.end()
