"""Loki, which holds what the functions print: `client` speaks HTTP, `lines` orders lines and marks places in them.

The contract is Loki's HTTP API: https://grafana.com/docs/loki/latest/reference/loki-http-api/.
"""

from gateway.upstream.loki.client import Loki

__all__ = ["Loki"]
