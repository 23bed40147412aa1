"""What the functions' pods use, from Prometheus."""
