"""What `git relay fsck` costs beside `git fsck`, on the same repository.

    python benchmarks/fsck.py [RUNS] [FOLDER]

Without FOLDER, `make_history` makes 10,000 exchanges in 500 sessions.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import make_history
from helping import helped
from paired import Figure, adopt_orphans, figures, in_pairs, spent, table

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
AIM = 3.0


def measured(runs: int, folder: Path | None = None) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            make_history.make(folder, sessions=500, exchanges=20)
        place = folder
        gits = ["git", "fsck", "--no-progress", "--no-dangling"]
        pairs = in_pairs(lambda i: spent([GIT_RELAY, "fsck"], place), lambda i: spent(gits, place), runs)
    return figures("fsck / git fsck", pairs, AIM, AIM)


def main() -> None:
    adopt_orphans()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(table(measured(runs, Path(sys.argv[2]) if len(sys.argv) > 2 else None)))


if __name__ == "__main__":
    helped(__doc__)
    main()
