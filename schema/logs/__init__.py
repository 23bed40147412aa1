"""The functions' own output, from Loki."""
