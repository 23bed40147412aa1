"""The labels Loki 3 adds on its own: `service_name` to the stream, `detected_level` to the line."""

import re
from collections.abc import Mapping

import orjson

SERVICE_LABELS = (
    "service_name",
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
)
"""Loki's discover_service_name, in its order."""
LEVEL_NAMES = ("level", "LEVEL", "Level", "severity", "SEVERITY", "Severity", "lvl", "LVL", "Lvl")
LEVELS = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
LOGFMT_LEVEL = re.compile(r'(?:^|\s)(?:level|severity|lvl)="?([A-Za-z]+)', re.IGNORECASE)
WORDS = (
    ("info", ("info", "INFO")),
    ("error", ("err:", "ERR:", "error", "ERROR")),
    ("warn", ("warn:", "WARN:", "warning", "WARNING")),
    ("critical", ("CRITICAL:", "critical:")),
    ("debug", ("debug:", "DEBUG:")),
)
"""What Loki looks for in plain lines, in its order."""


def with_service_name(labels: Mapping[str, str]) -> dict[str, str]:
    """The stream's labels and `service_name`, as Loki stores them."""
    known = (labels[name] for name in SERVICE_LABELS if labels.get(name))
    return {**labels, "service_name": next(known, "unknown_service")}


def detect_level(line: str, labels: Mapping[str, str]) -> str:
    """The level that a label, a JSON or logfmt field or a word in the line names, else `unknown`."""
    for name in LEVEL_NAMES:
        if name in labels:
            return LEVELS.get(labels[name].lower(), labels[name])
    if line.startswith("{"):
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            fields = {}
        for name in LEVEL_NAMES:
            if isinstance(fields.get(name), str):
                return LEVELS.get(fields[name].lower(), "unknown")
    match = LOGFMT_LEVEL.search(line)
    if match and match[1].lower() in LEVELS:
        return LEVELS[match[1].lower()]
    return next((level for level, words in WORDS if any(word in line for word in words)), "unknown")
