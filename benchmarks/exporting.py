"""`git relay export` of 10,000 exchanges to a new folder, and again to the same one when nothing is new.

    python benchmarks/exporting.py [RUNS] [FOLDER]

The floor of the first is the goal, 10 s on 2 cores; that of the second is the first.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

import make_history
from helping import helped
from paired import Figure, Spent, adopt_orphans, figures, rounds, spent, table

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
GOAL = 10.0  # seconds


def measured(runs: int, folder: Path | None = None) -> list[Figure]:
    first: list[Spent] = []
    again: list[Spent] = []
    with contextlib.ExitStack() as stack:
        site = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "site"
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            make_history.make(folder, sessions=500, exchanges=20)
        for _ in rounds(runs):
            shutil.rmtree(site, ignore_errors=True)
            first.append(spent([GIT_RELAY, "export", "-o", str(site)], folder))
            again.append(spent([GIT_RELAY, "export", "-o", str(site)], folder))
    goal = [(one, Spent(GOAL, one.cpu)) for one in first[1:]]
    return [
        *figures("export of 10,000 exchanges / 10 s", goal, 1.0)[:1],  # the goal says nothing of processor time
        *figures("export again, nothing new / the first", list(zip(again[1:], first[1:], strict=True)), 0.5, 0.5),
    ]


def main() -> None:
    adopt_orphans()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(table(measured(runs, Path(sys.argv[2]) if len(sys.argv) > 2 else None)))


if __name__ == "__main__":
    helped(__doc__)
    main()
