"""Builds carried to their end: who polls, what follows, who watches. Starting them is services'."""
