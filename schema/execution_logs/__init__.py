"""Execution logs."""
