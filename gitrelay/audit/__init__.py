"""Checks what is recorded, without trusting what wrote it."""
