"""Prometheus, which measures the functions' pods: `client` speaks HTTP, `promql` writes the queries.

The contract is Prometheus' HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from gateway.upstream.prometheus.client import Prometheus

__all__ = ["Prometheus"]
