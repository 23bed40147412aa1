"""Keeps SpinApps over restarts: one JSON file each, replaced as a whole: kill -9 leaves the old or the new."""

import dataclasses
import json
import os
import tempfile
from pathlib import Path

from gateway.local.runner.spinapp import SpinApp


class SpinAppStore:
    """The folder `{root}/{namespace}/{name}.json`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def load(self) -> list[SpinApp]:
        """Every stored resource."""
        return [SpinApp(**json.loads(path.read_bytes())) for path in sorted(self._root.glob("*/*.json"))]

    def save(self, app: SpinApp) -> None:
        """Store `app` in place of what was stored under its name; it is on the disk when this returns."""
        path = self._path(app)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as writing:
            writing.write(json.dumps(dataclasses.asdict(app)).encode())
            writing.flush()
            os.fsync(writing.fileno())
        Path(writing.name).replace(path)

    def delete(self, app: SpinApp) -> None:
        """Forget `app`."""
        self._path(app).unlink(missing_ok=True)

    def _path(self, app: SpinApp) -> Path:
        return self._root / app.namespace / f"{app.name}.json"
