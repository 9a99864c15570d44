"""The ten tasks of docs/tasks.md: its rows, and a record in which they can be done."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from support.places import ROOT
from support.repo import Repo, with_one_commit

PAGE = ROOT / "docs/tasks.md"
_ROW = re.compile(r"^\| (\d+)\. ([^|]+) \| ([^|]+) \| (\d+), (\d+) \| ([^|]+) \| (\d+|-), (\d+|-) \|$", re.M)


@dataclass(frozen=True)
class Task:
    """One row: how it is done on the terminal, and in the browser; `clicks` and its `keys` are None if it is not."""

    commands: tuple[str, ...]
    said: tuple[int, int]  # commands and keys on the terminal, as the page says it
    clicks: int | None
    keys: int | None


def tasks() -> dict[int, Task]:
    """Number of each task -> the task."""
    found = {}
    for number, _, terminal, commands, typed, _, clicks, keys in _ROW.findall(PAGE.read_text()):
        known = None if clicks == "-" else int(clicks)
        lines = tuple(re.findall(r"`(git relay [^`]+)`", terminal))
        found[int(number)] = Task(lines, (int(commands), int(typed)), known, None if keys == "-" else int(keys))
    return found


def make(folder: Path) -> Repo:
    """A repository with sessions of a turn that broke a test, of a lock, and of a question."""
    repo = with_one_commit(folder)
    asking = '{"status": "error", "verify": "skip", "reason": "needs-input", "body": "Which one?"}'
    repo.sh(
        "git config relay.one.command 'false'; git config relay.two.command 'touch done'; "
        "git config relay.two.verdict exit; git config relay.one.verdict exit; "
        f"printf %s {shlex.quote(asking)} > ../asking; git config relay.asker.command 'cat ../asking'"
    )
    check = "test ! -e broken.txt || { echo AssertionError: 3; exit 1; }"
    for words, code in (
        (("shell", "--session", "auth", "--check", check, "true"), 0),
        (("shell", "--session", "auth", "--check", check, "echo broken > broken.txt"), 1),
        (("shell", "--session", "auth", "--check", check, "rm broken.txt"), 0),
        (("shell", "--session", "talk", "echo The lock is taken twice."), 0),
        (("asker", "--session", "ask", "Choose."), 3),
    ):
        done = repo.relay("req", *words)
        assert done.code == code, done.err
    return repo
