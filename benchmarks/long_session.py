"""What a turn costs in a session of many turns, beside a turn of a new session in the same repository.

python benchmarks/long_session.py [RUNS] [TURNS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import make_history
from helping import helped
from paired import Figure, Spent, adopt_orphans, figures, in_pairs, spent, table

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))


def measured(runs: int, turns: int = 1000) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_history.make(folder, sessions=1, exchanges=turns)
        words = ["git", "for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/relay/"]
        session = subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

        def turn(session: str) -> Spent:
            return spent([GIT_RELAY, "req", "--from", "b", "--to", "shell", "--session", session, "true"], folder)

        pairs = in_pairs(lambda i: turn(session), lambda i: turn("new"), runs)
    return figures(f"turn {turns} of a session / of a new one", pairs, 1.3, 1.3)


def main() -> None:
    adopt_orphans()
    runs, turns = (int(word) for word in (*sys.argv[1:], *("5", "1000")[len(sys.argv) - 1 :]))
    print(table(measured(runs, turns)))


if __name__ == "__main__":
    helped(__doc__)
    main()
