"""A row of `doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One row: `state` is ok, warn, fail, or absent for an agent that nobody asked for.

    `fix` is the command, or the words, that fix it.
    """

    check: str
    state: str
    found: str
    fix: str = ""
