"""One client for each system behind the gateway: plain values in, records out; clients don't know each other."""
