"""A developer's own `prometheus` and `loki` programs in place of the stand-ins, configured for the platform.

Both open their ports themselves, unlike the stand-ins. The configurations are JSON, which is YAML too.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.local.processes import listen
from gateway.local.supervision import Service


def free_port() -> int:
    """A port that was free a moment ago, for a program that opens its own."""
    with listen() as listener:
        port: int = listener.getsockname()[1]
        return port


def prometheus_service(data_dir: Path, metrics_url: str, env: Mapping[str, str]) -> Service | None:
    """Prometheus from PATH, scraping `metrics_url` every 2 s; None when there is none."""
    program = shutil.which("prometheus")
    if program is None:
        return None
    target = urlsplit(metrics_url)
    port = free_port()
    scrape = {
        "job_name": "functions",
        "metrics_path": target.path,
        "static_configs": [{"targets": [target.netloc]}],
    }
    config = _write(data_dir, {"global": {"scrape_interval": "2s"}, "scrape_configs": [scrape]})
    command = (
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data_dir / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    return Service(
        name="prometheus",
        log_name="prometheus",
        command=command,
        url=f"http://127.0.0.1:{port}",
        ready_path="/-/ready",
        env=env,
    )


def loki_service(data_dir: Path, env: Mapping[str, str]) -> Service | None:
    """Loki from PATH in one process with files in `data_dir`; None when there is none."""
    program = shutil.which("loki")
    if program is None:
        return None
    port = free_port()
    config = _write(data_dir, _loki_config(data_dir.resolve(), port))
    # /ready says 503 for its first 15 s, while it serves already.
    return Service(
        name="loki",
        log_name="loki",
        command=(program, f"-config.file={config}"),
        url=f"http://127.0.0.1:{port}",
        ready_path="/loki/api/v1/status/buildinfo",
        env=env,
    )


def _loki_config(folder: Path, port: int) -> dict[str, object]:
    files = {"chunks_directory": str(folder / "chunks"), "rules_directory": str(folder / "rules")}
    schema = {
        "from": "2024-01-01",
        "store": "tsdb",
        "object_store": "filesystem",
        "schema": "v13",
        "index": {"prefix": "index_", "period": "24h"},
    }
    return {
        "auth_enabled": False,
        "server": {
            "http_listen_address": "127.0.0.1",
            "http_listen_port": port,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": free_port(),
            "log_level": "warn",
        },
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": str(folder),
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": files},
        },
        "schema_config": {"configs": [schema]},
        "analytics": {"reporting_enabled": False},
    }


def _write(data_dir: Path, config: object) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "config.yaml"
    path.write_text(json.dumps(config, indent=2))
    return path
