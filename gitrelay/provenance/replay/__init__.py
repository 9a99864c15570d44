"""Recorded requests asked again, to compare peers."""
