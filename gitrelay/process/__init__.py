"""Runs one child process: its limits, its logs, its end."""
