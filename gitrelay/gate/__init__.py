"""Decides whether a change may be pushed."""
