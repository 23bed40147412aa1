"""The platform on one machine: stand-ins that speak the real systems' HTTP APIs and do the real work."""
