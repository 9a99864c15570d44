"""What a workspace costs: making one against `git worktree add --detach` of the same commit.

    python benchmarks/workspace.py [RUNS] [FOLDER]

Paired runs in turn, in FOLDER (default: the temporary folder); prints the ratios, asserts nothing. In each
tree 2 files are staged, 5 changed and 3 untracked. The processor time counts git's processes too.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from helping import helped

from gitrelay.git.repository import Repository
from gitrelay.state.folder import State
from gitrelay.workspace import workspace

SIZES = ((50, 300, 1.1), (5_000, 300, 1.1), (50_000, 300, 1.1), (300, 1 << 20, 0.6))  # files, bytes each, aim


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, processor) seconds, children included."""

    def cpu() -> float:
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(u.ru_utime + u.ru_stime for u in used)

    begin, before = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - begin, cpu() - before


def repository(top: Path, files: int, size: int) -> Repository:
    for i in range(files):
        path = top / f"d{i % 200:03d}" / f"f{i:06d}.txt"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(os.urandom(size // 2).hex().encode())
    git = [
        "git",
        "-c",
        "user.name=b",
        "-c",
        "user.email=b@example.invalid",
        "-c",
        "gc.auto=0",
        "-c",
        "core.looseCompression=0",
    ]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "files"]):
        subprocess.run([*git, *words], cwd=top, check=True)
    for i in range(10):
        name = f"d{i:03d}/f{i:06d}.txt" if i < 7 else f"new{i}.txt"
        (top / name).write_text(f"changed {i}\n")
    subprocess.run([*git, "add", "d000", "d001"], cwd=top, check=True)
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=top, check=False, stdout=subprocess.DEVNULL)
    repo = Repository.open(top)
    State(repo.common_dir).prepare()
    return repo


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    place = sys.argv[2] if len(sys.argv) > 2 else None
    for files, size, aim in SIZES:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            top = Path(folder) / "repo"
            top.mkdir()
            repo = repository(top, files, size)
            state = State(repo.common_dir)
            other = Path(folder) / "linked"

            def make(repo: Repository = repo, state: State = state) -> None:
                workspace.make(repo, state, "s")

            def add(top: Path = top, other: Path = other) -> None:
                words = ["git", "worktree", "add", "--quiet", "--detach", str(other)]
                subprocess.run(words, cwd=top, check=True)

            pairs = []
            for number in range(runs + 1):
                one, two = spent(make), spent(add)
                if number:  # the first pair warms up
                    pairs.append((one, two))
                workspace.remove(repo, state, "s")
                subprocess.run(["git", "worktree", "remove", "--force", str(other)], cwd=top, check=True)
            wall, cpu = ([a[i] / b[i] for a, b in pairs] for i in (0, 1))
            mine, theirs = (statistics.median(side[0] for side in sides) * 1000 for sides in zip(*pairs, strict=True))
            wall_text = f"{statistics.median(wall):.2f} (min {min(wall):.2f}, max {max(wall):.2f}), aim at most {aim}"
            print(f"{files} files of {size} bytes: wall ratio median {wall_text}; ", end="")
            print(f"processor {statistics.median(cpu):.2f}; medians {mine:.0f} against {theirs:.0f} ms, {runs} pairs")


if __name__ == "__main__":
    helped(__doc__)
    main()
