"""A stand-in for Prometheus on one machine: scrapes one target and answers the gateway's own queries."""

from gateway.local.prometheus.app import create_app

__all__ = ["create_app"]
