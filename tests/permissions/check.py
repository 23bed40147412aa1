"""The check of every test run: what the gateway asked AWS for is what helm/iam allows, no more and no less.

More fails the test that asked. Less fails the session, where it was a whole one: each worker of pytest-xdist hands
over what it has seen, and the last word is spoken where they come together.
"""

import json
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.permissions.actions import Permission
from tests.permissions.policies import FOLDER, RECORD, ROLES, STAND_IN_ONLY, allowed

SEEN = "permissions_seen"
"""What a worker hands over."""
WHOLE_MARKS = {"", "not ci"}


class PermissionCheck:
    """A plugin of pytest's; `data_dir` is that of the session's AWS stand-in, once there is one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._read = 0
        self._surplus: list[str] = []
        self.data_dir: Path | None = None
        self.seen: set[tuple[str, Permission]] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Fail a test that asked for what its role may not do."""
        yield
        new = self._read_new()
        self.seen |= new
        if lines := refusals(new, item.nodeid):
            pytest.fail("\n".join(lines), pytrace=False)

    def _read_new(self) -> set[tuple[str, Permission]]:
        if self.data_dir is None:
            return set()
        used, self._read = read_record(self.data_dir, self._read)
        return used

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker has seen."""
        for role, *permission in getattr(node, "workeroutput", {}).get(SEEN, ()):
            self.seen.add((role, Permission(*permission)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what was seen, or judge it."""
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[SEEN] = [[role, *permission] for role, permission in self.seen]
        elif session.exitstatus == pytest.ExitCode.OK and is_whole(self._config):
            self._surplus = surplus(self.seen)
            if self._surplus:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is allowed and was never asked for."""
        if self._surplus:
            terminalreporter.section("permissions that no test has used", red=True)
            for line in self._surplus:
                terminalreporter.line(line)


def read_record(data_dir: Path, start: int = 0) -> tuple[set[tuple[str, Permission]], int]:
    """What was used, by role, as noted behind a place of the record; and where the record ends now."""
    with (data_dir / RECORD).open() as file:
        file.seek(start)
        lines = file.readlines()
        return {(role, Permission(*permission)) for role, *permission in map(json.loads, lines)}, file.tell()


CHECK = pytest.StashKey[PermissionCheck]()


def refusals(new: Iterable[tuple[str, Permission]], test: str) -> list[str]:
    """A line for each permission that was used and is not allowed."""
    lines = []
    for role, permission in sorted(new):
        if role in ROLES and permission not in allowed(role) | STAND_IN_ONLY.get(role, set()):
            lines.append(f"{test}: `{role}` used {permission}, which {FOLDER.name}/{role}.json does not allow")
    return lines


def surplus(seen: set[tuple[str, Permission]]) -> list[str]:
    """A line for each permission that is allowed and was not used."""
    return [
        f"{FOLDER.name}/{role}.json allows {permission}: no test saw `{role}` use it"
        for role in ROLES
        for permission in sorted(allowed(role) - {used for by, used in seen if by == role})
    ]


def is_whole(config: pytest.Config) -> bool:
    """Whether every test was asked for that needs Python alone, on the stand-in."""
    options = config.option
    narrowed = (options.keyword, options.deselect, options.ignore, options.ignore_glob, options.collectonly)
    return (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and options.markexpr in WHOLE_MARKS
        and not any(narrowed)
        and not (getattr(options, "lf", False) or getattr(options, "stepwise", False))
        and options.dynamodb == "stand-in"
    )
