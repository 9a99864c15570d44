"""When git last wrote a ref, told from times of files alone: what a few `stat` cost instead of a process of git.

Git writes a loose ref as a new file that takes the place of the old one, so the time of its folder changes; packed
refs and the tables of the other format are one file each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

Stamp = tuple[tuple[int, int] | None, ...]


def stamp(common_dir: Path, folders: Sequence[str]) -> Stamp:
    """Differs from an earlier one if a ref directly below `folders`, as `refs/heads/relay/`, was written since.

    It does not tell a file that is written in place, or twice within what the file system takes for one moment.
    """
    return tuple(_of(f"{common_dir}/{name}") for name in (*folders, "packed-refs", "reftable/tables.list"))


def _of(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def newest(of: Stamp) -> float:
    """The latest of its times, in seconds since the epoch; 0 if nothing is there."""
    return max((one[0] for one in of if one is not None), default=0) / 1e9
