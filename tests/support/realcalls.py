"""Calls of real agent CLIs through gitrelay, and what is recorded of each."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from support.realcli import PINS
from support.repo import Done, Repo
from support.waiting import eventually

LIMIT = 60.0  # seconds for a call; the longest (codex, five retries of a 401) takes about 8


def ask(repo: Repo, peer: str, *options: str, task: str = "Look at app.py.", session: str = "s") -> Done:
    return repo.relay("req", "--from", "uma", "--to", peer, "--session", session, *options, task, timeout=LIMIT)


def ask_meanwhile(repo: Repo, peer: str, task: str, begun: Callable[[], bool]) -> subprocess.Popen[bytes]:
    """A waiter that is still there once `begun` holds."""
    waiter = repo.start("req", "--from", "uma", "--to", peer, "--session", "s", task)
    assert eventually(lambda: begun() or waiter.poll() is not None, LIMIT)
    assert waiter.poll() is None, waiter.communicate()
    return waiter


def trailers(repo: Repo, rev: str = "relay/s") -> dict[str, str]:
    text = repo.git("log", "-1", "--format=%(trailers:only,unfold)", rev, "--")
    return dict(line.split(": ", 1) for line in text.splitlines())


def check_recorded(
    repo: Repo, done: Done, peer: str, reason: str | None, code: int, turn: str = "01"
) -> dict[str, str]:
    """The branch's last commit is the response that was printed, with the trailers of such an end."""
    found = trailers(repo)
    assert (done.code, found.get("Relay-Reason")) == (code, reason), f"{done.out}\n{done.err}"
    assert found["Relay-Recorded"] == ("peer" if reason is None else "gitrelay")
    assert found["Relay-Peer"] == f"{peer} {PINS[peer]}"
    assert done.out == repo.git("show", f"relay/s:{turn}.res.md") + "\n"
    assert repo.git("status", "--porcelain", "--untracked-files=all", "--", ":!work") == ""
    assert not list((repo.path / ".git/relay/calls").iterdir())
    return found
