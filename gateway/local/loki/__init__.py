"""A stand-in for Loki on one machine: the push, query, label and tail calls of the real HTTP API."""

from gateway.local.loki.app import create_app

__all__ = ["create_app"]
