"""Loki, which holds what the functions print.

`client` reads pages, `tail` follows, `lines` orders lines and marks places in them.

The contract is Loki's HTTP API: https://grafana.com/docs/loki/latest/reference/loki-http-api/.
"""

from gateway.upstream.loki.client import Loki
from gateway.upstream.loki.tail import LokiTail

__all__ = ["Loki", "LokiTail"]
