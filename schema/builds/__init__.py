"""Builds and deployments: what is read of them, started and followed."""
