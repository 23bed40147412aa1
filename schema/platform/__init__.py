"""The gateway and the systems behind it."""
