"""What recording the caller's files costs: a snapshot against `git status` on the same tree.

    python benchmarks/snapshot.py [FILES] [RUNS]

Clean and with 100 changed files, and the comparison that read access makes on each side of a call.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from helping import helped
from paired import Figure, adopt_orphans, figures, in_pairs, table, worked

from gitrelay.calls import readonly
from gitrelay.git.repository import Repository
from gitrelay.ledger import snapshot
from gitrelay.state.folder import State

AIMS = {  # from 50,000 files on; with few files the start of the programs is all that is measured
    "snapshot of a clean tree": 1.5,
    "comparison for read access": 2.0,
    "snapshot with 100 changes": 1.6,
}


def measured(runs: int, files: int = 50_000) -> list[Figure]:
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

        def against_status(name: str, work: Callable[[], object]) -> list[Figure]:
            pairs = in_pairs(lambda i: worked(work), lambda i: worked(status), runs)
            return figures(
                f"{name}, {files:,} files / git status", pairs, *[AIMS[name] if files >= 50_000 else None] * 2
            )

        rows = against_status("snapshot of a clean tree", lambda: snapshot.take(repo, "s"))
        rows += against_status("comparison for read access", lambda: readonly.take(repo))
        for i in range(100):
            (top / f"d{i % 500:03d}" / f"f{i:06d}.txt").write_text(f"changed {i}\n")
        return rows + against_status("snapshot with 100 changes", lambda: snapshot.take(repo, "s"))


def main() -> None:
    adopt_orphans()
    files, runs = (int(word) for word in (*sys.argv[1:], *("50000", "7")[len(sys.argv) - 1 :]))
    print(table(measured(runs, files)))


if __name__ == "__main__":
    helped(__doc__)
    main()
