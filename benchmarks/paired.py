"""What a command costs: the wall time until it returns, and the processor time of everything that it started.

gitrelay's supervisor outlives the command that starts it, so the processor time of the command alone says little.
On Linux this process adopts what a command leaves behind, and waits for that too before the figures are taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from helping import helped

_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER
LIMIT: Final = 120.0  # seconds for one command
_deadline = math.inf  # by time.monotonic: after it no further pair begins


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
    """What `argv` costs in the folder `cwd`. Raises CalledProcessError if it fails, TimeoutExpired after LIMIT."""
    null = subprocess.DEVNULL
    before, begin = _children(), time.perf_counter()
    subprocess.run(argv, cwd=cwd, check=True, stdin=null, stdout=null, stderr=null, timeout=LIMIT)
    wall = time.perf_counter() - begin
    with contextlib.suppress(ChildProcessError):  # there is no child any more
        while True:
            os.waitpid(-1, 0)
    return Spent(wall, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def worked(work: Callable[[], object]) -> Spent:
    """What a piece of work of this process costs, with the programs that it starts."""
    before, own, begin = _children(), time.process_time(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - begin, _children() - before + time.process_time() - own)


@dataclass(frozen=True)
class Figure:
    """One row: medians of `today` and `floor` in ms, of what was measured (`wall` or `cpu`); `bound` of the ratio.

    `ratio` is the median of the ratios of the pairs, `low` and `high` the least and the greatest.
    """

    what: str
    of: str
    floor: float
    today: float
    ratio: float
    low: float
    high: float
    pairs: int
    bound: float | None = None


Pair = tuple[Spent, Spent]
Side = Callable[[int], Spent]


def end_within(seconds: float) -> None:
    """From now on `rounds` begins none after so many seconds, but two each time: a figure needs them."""
    global _deadline
    _deadline = time.monotonic() + seconds


def rounds(runs: int) -> Iterator[int]:
    """0 to `runs`, where the first is there to warm the caches; fewer if the time is over."""
    for i in range(runs + 1):
        if i > 1 and time.monotonic() >= _deadline:
            return
        yield i


def in_pairs(ours: Side, floor: Side, runs: int) -> list[Pair]:
    """At most `runs` pairs measured in turn (A B A B ...), because a machine's speed drifts.

    One before them warms the caches. Each side is given the number of its run, from 0.
    """
    return [(ours(i), floor(i)) for i in rounds(runs)][1:]


def figures(what: str, pairs: Sequence[Pair], wall: float | None = None, cpu: float | None = None) -> list[Figure]:
    """The rows of `pairs`: wall and processor time, with their bounds."""
    found = []
    for of, bound in (("wall", wall), ("cpu", cpu)):
        sides = [(getattr(a, of), max(getattr(b, of), 1e-6)) for a, b in pairs]
        ratios = [a / b for a, b in sides]
        today, floor = (statistics.median(side) * 1000 for side in zip(*sides, strict=True))
        middle = statistics.median(ratios)
        found.append(Figure(what, of, floor, today, middle, min(ratios), max(ratios), len(ratios), bound))
    return found


def table(rows: Iterable[Figure]) -> str:
    """What, floor, today, ratio, bound, as a table of Markdown."""
    lines = ["| what | | floor, ms | today, ms | ratio | least - most | bound | |", "|---|---|--:|--:|--:|---|--:|---|"]
    for row in rows:
        held = "" if row.bound is None else "met" if row.ratio <= row.bound else "**missed**"
        bound = "" if row.bound is None else f"{row.bound:g}"
        lines.append(
            f"| {row.what} | {row.of} | {row.floor:.0f} | {row.today:.0f} | {row.ratio:.2f} "
            f"| {row.low:.2f} - {row.high:.2f} | {bound} | {held} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    helped(__doc__)
