"""What the sessions of a repository cost the user's own git: `branch`, `log --all`, `fetch` and `push`, nothing new.

    python benchmarks/refs.py [RUNS] [SESSIONS]

Beside the same commands in a clone of the same repository that has no session. Refs are packed, as upkeep leaves
them. The last rows are those of the same sessions after they were archived.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import make_history
from helping import helped
from paired import Figure, adopt_orphans, figures, in_pairs, spent, table

AIM = 2.0
COMMANDS = {
    "git branch": ["git", "branch"],
    "git log --all -20": ["git", "log", "--all", "-20", "--format=%h"],
    "git fetch": ["git", "fetch", "-q", "origin"],
    "git push": ["git", "push", "-q", "origin", "main"],
}


def measured(runs: int, sessions: int = 5_000) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _made(place, sessions)
        rows = _against(place, f"with {sessions:,} sessions", runs)
        _archive(place / "ours")
        return rows + _against(place, f"with {sessions:,} archived sessions", runs)


def _made(place: Path, sessions: int) -> None:
    """`ours` has sessions, `plain` has none; each has a remote of its own, without sessions."""
    _git(place, "init", "-q", "-b", "main", "plain")
    author = ("-c", "user.name=b", "-c", "user.email=b@example.invalid")
    _git(place / "plain", *author, "commit", "-q", "--allow-empty", "-m", "first")
    make_history.make(place / "ours", sessions=sessions, exchanges=1)
    for one in ("ours", "plain"):
        _git(place / one, "fetch", "-q", "../plain", "main")
        _git(place / one, "update-ref", "refs/heads/main", "FETCH_HEAD")
        _git(place / one, "symbolic-ref", "HEAD", "refs/heads/main")
        _git(place, "clone", "-q", "--bare", "plain", f"{one}.git")
        _git(place / one, "remote", "add", "origin", f"../{one}.git")
        _git(place / one, "push", "-q", "origin", "main")
        _git(place / one, "pack-refs", "--all")


def _archive(folder: Path) -> None:
    """As `git relay archive` does it, in one transaction."""
    rows = _git(folder, "for-each-ref", "--format=%(refname:lstrip=3) %(objectname)", "refs/heads/relay/")
    lines = []
    for session, oid in (row.split(" ") for row in rows.splitlines()):
        lines += [f"create refs/relay/archive/{session} {oid}", f"delete refs/heads/relay/{session} {oid}"]
    words = ["git", "update-ref", "--stdin"]
    subprocess.run(words, cwd=folder, input="\n".join([*lines, ""]), text=True, check=True)
    _git(folder, "pack-refs", "--all")


def _against(place: Path, what: str, runs: int) -> list[Figure]:
    rows = []
    for name, words in COMMANDS.items():
        ours, plain = place / "ours", place / "plain"
        pairs = in_pairs(lambda i: spent(words, ours), lambda i: spent(words, plain), runs)  # noqa: B023
        rows += figures(f"{name} {what} / without", pairs, AIM, AIM)[:1]
    return rows


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    adopt_orphans()
    runs, sessions = (int(word) for word in (*sys.argv[1:], *("9", "5000")[len(sys.argv) - 1 :]))
    print(table(measured(runs, sessions)))


if __name__ == "__main__":
    helped(__doc__)
    main()
