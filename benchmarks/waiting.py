"""What a caller waits for: many calls at once, and the time from the peer's last word to the exit of `req`.

    python benchmarks/waiting.py [CALLS] [SECONDS]

The floor of many calls are the same commands at once without gitrelay; that of the last word is the goal, 50 ms.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import overhead
from helping import helped
from paired import LIMIT, Figure, Spent, adopt_orphans, figures, in_pairs, rounds, table, worked

GOAL = 0.05  # seconds


def measured(calls: int = 50, seconds: float = 5) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        repo = Path(name)
        overhead.repository(repo)
        return [*_many(repo, calls, seconds), *_last_word(repo)]


def _many(repo: Path, calls: int, seconds: float, runs: int = 2) -> list[Figure]:
    sleep = f"sleep {seconds:g}"

    def ask(i: int) -> Spent:
        words = [overhead.GIT_RELAY, "req", "--from", "b", "--to", "shell", "--session"]
        return worked(lambda: _at_once([[*words, f"many{i}-{n}", sleep] for n in range(calls)], repo))

    def bare(_: int) -> Spent:
        return worked(lambda: _at_once([sleep.split()] * calls, repo))

    return figures(f"{calls} calls of {sleep} at once / without gitrelay", in_pairs(ask, bare, runs), 2.0)[:1]


def _at_once(commands: list[list[str]], folder: Path) -> None:
    """Raises CalledProcessError if one of them fails."""
    null = subprocess.DEVNULL
    running = [subprocess.Popen(words, cwd=folder, stdin=null, stdout=null, stderr=null) for words in commands]
    codes = [one.wait(LIMIT) for one in running]
    for one, code in zip(running, codes, strict=True):
        if code:
            raise subprocess.CalledProcessError(code, one.args)


def _last_word(repo: Path, runs: int = 15) -> list[Figure]:
    """A peer that works for a while, writes down when it ends, and ends."""
    note = repo / ".git/ended"
    pairs = []
    words = [overhead.GIT_RELAY, "req", "--from", "b", "--to", "shell", "--session", "last"]
    for _ in rounds(runs):
        null = subprocess.DEVNULL
        command = f"sleep 1; date +%s%N > {note}"
        subprocess.run([*words, command], cwd=repo, check=True, stdin=null, stdout=null, stderr=null, timeout=LIMIT)
        pairs.append((Spent(time.time() - int(note.read_text()) / 1e9, 0), Spent(GOAL, 0)))
    return figures("last word of the peer to exit of req / 50 ms", pairs[1:], 1.0)[:1]


def main() -> None:
    adopt_orphans()
    calls, seconds = (float(word) for word in (*sys.argv[1:], *("50", "5")[len(sys.argv) - 1 :]))
    print(table(measured(int(calls), seconds)))


if __name__ == "__main__":
    helped(__doc__)
    main()
