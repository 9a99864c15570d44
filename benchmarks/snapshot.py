"""What recording the caller's files costs: a snapshot against `git status` on the same tree.

    python benchmarks/snapshot.py [FILES] [RUNS]

Paired runs in turn, clean and with 100 changed files; prints the ratios, asserts nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gitrelay.calls import readonly
from gitrelay.git.repository import Repository
from gitrelay.ledger import snapshot
from gitrelay.state.folder import State


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def report(name: str, work: Callable[[], object], floor: Callable[[], object], runs: int, bound: float) -> None:
    work(), floor()  # warm
    pairs = [(seconds(work), seconds(floor)) for _ in range(runs)]
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    print(
        f"{name}: ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}), "
        f"aim at most {bound}; medians {a:.0f} ms against {b:.0f} ms, {runs} pairs"
    )


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for i in range(files):
            path = top / f"d{i % 500:03d}" / f"f{i:06d}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"file {i}\n" * 20)
        git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid", "-c", "gc.auto=0"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "files"]):
            subprocess.run([*git, *words], cwd=top, check=True)
        # the entries must be older than the index, or every `git status` reads the files again
        subprocess.run(["git", "update-index", "--refresh"], cwd=top, check=True, stdout=subprocess.DEVNULL)
        repo = Repository.open(top)
        State(repo.common_dir).prepare()

        def status() -> None:
            subprocess.run(
                ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=all"],
                cwd=top,
                check=True,
                stdout=subprocess.DEVNULL,
            )

        print(f"{files} files")
        report("snapshot of a clean tree / git status", lambda: snapshot.take(repo, "s"), status, runs, 1.5)
        report("comparison for read access, one side / git status", lambda: readonly.take(repo), status, runs, 1.5)
        for i in range(100):
            (top / f"d{i % 500:03d}" / f"f{i:06d}.txt").write_text(f"changed {i}\n")
        report("snapshot with 100 changed files / git status", lambda: snapshot.take(repo, "s"), status, runs, 1.5)


if __name__ == "__main__":
    main()
