"""The doctor's findings as a person or a program reads them."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from gateway.records.health import FindingRecord

HEAD = ("", "what", "reachable", "allowed", "latency", "what to do")
YES_NO = {True: "yes", False: "NO", None: "?"}


def as_table(findings: Sequence[FindingRecord]) -> str:
    """A line for each finding, in columns; what to do comes last, as it may be long."""
    lines = [HEAD, *(_cells(finding) for finding in findings)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD) - 1)]
    return "\n".join(
        "  ".join([cell.ljust(width) for cell, width in zip(line, widths, strict=False)] + [line[-1]]).rstrip()
        for line in lines
    )


def _cells(finding: FindingRecord) -> tuple[str, ...]:
    told = " ".join((finding.detail or "").split()).removesuffix(".")
    advice = f"{told}: {finding.advice}" if told and not told.endswith(", or") else f"{told} {finding.advice}"
    return (
        finding.verdict.value,
        f"{finding.system}: {finding.what}",
        YES_NO[finding.reachable],
        YES_NO[finding.allowed],
        f"{finding.latency_ms:.0f} ms",
        "" if finding.advice is None else advice,
    )


def as_json(findings: Sequence[FindingRecord]) -> str:
    """An array with an object for each finding."""
    return json.dumps([asdict(finding) | {"verdict": finding.verdict.name} for finding in findings], indent=2)
