"""Writes the branches `relay/<session>`."""
