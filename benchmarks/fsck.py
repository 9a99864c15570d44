"""What `git relay fsck` costs beside `git fsck`, on the same repository.

    python benchmarks/fsck.py [RUNS] [FOLDER]

Paired runs in turn, because a machine's speed drifts; prints the ratios of the time waited and of the
processor time, which tells more on a busy machine. Without FOLDER, `make_history` makes 10,000 exchanges in
500 sessions.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import make_history

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))


def run(argv: Sequence[str], folder: Path) -> tuple[float, float]:
    """(seconds waited, seconds of processor time, children included) of a command that must succeed."""
    begin, before = time.perf_counter(), os.times()
    subprocess.run(argv, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begin, used


def report(name: str, pairs: Sequence[tuple[float, float]]) -> None:
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"{name}: ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}), "
        f"aim at most 3; medians {a:.2f} s against {b:.2f} s, {len(pairs)} pairs"
    )


def measure(folder: Path, runs: int) -> None:
    pairs = []
    for i in range(-1, runs):
        pair = run([GIT_RELAY, "fsck"], folder), run(["git", "fsck", "--no-progress", "--no-dangling"], folder)
        if i >= 0:  # the first round warms the caches
            pairs.append(pair)
    report("git relay fsck / git fsck, waited", [(ours[0], gits[0]) for ours, gits in pairs])
    report("git relay fsck / git fsck, processor", [(ours[1], gits[1]) for ours, gits in pairs])


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if len(sys.argv) > 2:
        measure(Path(sys.argv[2]), runs)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_history.make(Path(folder), sessions=500, exchanges=20)
        measure(Path(folder), runs)


if __name__ == "__main__":
    main()
