"""What a command costs: the wall time until it returns, and the processor time of everything that it started.

gitrelay's supervisor outlives the command that starts it, so the processor time of the command alone says little.
On Linux this process adopts what a command leaves behind, and waits for that too before the figures are taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER


@dataclass(frozen=True)
class Spent:
    """Seconds: `wall` until the command returned, `cpu` of all its processes, user and system together."""

    wall: float
    cpu: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


def adopt_orphans() -> None:
    """Become the parent of what commands leave behind; nothing happens where the system is not Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def spent(argv: Sequence[str], cwd: Path) -> Spent:
    """What `argv` costs in the folder `cwd`. Raises CalledProcessError if it fails."""
    null = subprocess.DEVNULL
    before, begin = _children(), time.perf_counter()
    subprocess.run(argv, cwd=cwd, check=True, stdin=null, stdout=null, stderr=null)
    wall = time.perf_counter() - begin
    with contextlib.suppress(ChildProcessError):  # there is no child any more
        while True:
            os.waitpid(-1, 0)
    return Spent(wall, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(name: str, pairs: Sequence[tuple[Spent, Spent]], aims: tuple[float, float] | None = None) -> None:
    """Print the ratios of `pairs`, each measured one after the other; `aims` are those of wall and processor time."""
    for i, what in enumerate(("wall", "cpu")):
        sides = [(getattr(a, what), getattr(b, what)) for a, b in pairs]
        ratios = [a / b for a, b in sides]
        a, b = (statistics.median(side) * 1000 for side in zip(*sides, strict=True))
        aim = f", aim at most {aims[i]}" if aims else ""
        print(
            f"{name}: {what} ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, "
            f"max {max(ratios):.2f}){aim}; medians {a:.0f} ms against {b:.0f} ms, {len(pairs)} pairs"
        )
