"""Reads the branches `relay/<session>`."""
