"""Builds carried to their end: who polls, what follows, who watches (builds.md). Starting them is services'."""
