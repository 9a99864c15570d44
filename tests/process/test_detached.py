"""The supervisor as a fork of the caller: what it is, and what it has let go of."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitrelay.state.lock import Lock
from support.repo import GIT_RELAY, Repo
from support.waiting import eventually, patient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a fork is made on Linux only")

# what the peer sees of the process that runs it
LOOK = r"""
cd /proc/$PPID
# python blocks all signals for a moment while it starts a program
tries=0
until grep -q '^SigBlk:[[:space:]]*0*$' status || [ $tries = 50 ]; do tries=$((tries + 1)); sleep 0.1; done
echo "title $(tr '\0' ' ' <cmdline)"
grep -E '^Sig(Blk|Ign|Cgt)' status | sed 's/^/status /'
echo "cwd $(readlink cwd)"
echo "terminal $(cut -d' ' -f7 stat)"
for fd in fd/*; do echo "fd ${fd#fd/} $(readlink $fd)"; done
"""


def run(repo: Repo, script: str, env: Mapping[str, str] | None = None) -> str:
    """stdout of shell lines in which `ask SESSION` asks the peer to look."""
    ask = f'ask() {{ {shlex.join(GIT_RELAY)} req --to shell --session "$1" "$LOOK"; }}\n'
    done = subprocess.run(
        ["bash", "-ec", ask + script],
        cwd=repo.path,
        env={**repo.env, **(env or {}), "LOOK": LOOK},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def seen(out: str, word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in out.splitlines() if line.startswith(f"{word} ")]


def signals(out: str, name: str) -> set[int]:
    (mask,) = (int(line.split()[1], 16) for line in seen(out, "status") if line.startswith(name))
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_nothing_of_the_caller_is_left(repo: Repo, tmp_path: Path) -> None:
    """Descriptors are opened and closed, signals handled and blocked in the caller; none of it is in the supervisor."""
    (tmp_path / "mine").write_text("x")
    out = run(repo, f"exec 5<{tmp_path}/mine 6>>{tmp_path}/mine 9>{tmp_path}/lock; flock 9; trap '' USR1; ask s")
    assert seen(out, "title")[0].split() == ["gitrelay.supervisor", "s/01"]
    state = f"{repo.path}/.git/relay/calls/s"
    open_ = {int(line.split()[0]): line.split()[1] for line in seen(out, "fd") if len(line.split()) > 1}
    assert (open_[0], open_[1], open_[2]) == (os.devnull, os.devnull, f"{state}/supervisor.log")
    known = {f"{state}/{name}" for name in ("alive", "out.log", "err.log")}
    assert {place for fd, place in open_.items() if fd > 2 and not place.startswith("pipe:")} <= known, open_
    assert signals(out, "SigBlk") == set()
    assert signals(out, "SigIgn") >= {1, 2, 10, 13}, "what the person ignores stays ignored"
    assert seen(out, "terminal") == ["0"]
    assert seen(out, "cwd") == [f"{repo.path}/.git"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_caller_without_its_first_descriptors(repo: Repo, closed: str) -> None:
    out = run(repo, f"(ask s {closed}) || true; {shlex.join(GIT_RELAY)} wait s/01; {shlex.join(GIT_RELAY)} show s/01")
    assert "status: done" in out and seen(out, "title")[0].split() == ["gitrelay.supervisor", "s/01"], out


def test_the_locks_of_the_caller_can_be_taken_while_the_peer_works(repo: Repo) -> None:
    begun, go = repo.path.parent / "begun", repo.path.parent / "go"
    os.mkfifo(go)
    words = ["req", "--to", "shell", "--session", "s", "--key", "k", f"touch {begun}; cat {go}"]
    waiter = repo.start(*words)
    try:
        assert eventually(begun.exists)
        lock = Lock(repo.path / ".git/relay/locks/s.lock")
        assert eventually(lock.try_acquire), "the waiter has let go, and the supervisor does not hold it"
        lock.release()
    finally:
        go.write_text("")
        waiter.communicate(timeout=patient(60))
    assert waiter.returncode == 0


def test_a_caller_with_a_thread_starts_an_interpreter(repo: Repo) -> None:
    """A lock that another thread holds would stay held in a fork for ever."""
    code = (
        "import sys, threading; threading.Thread(target=threading.Event().wait, daemon=True).start();"
        "from gitrelay.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "req", "--to", "shell", "--session", "s", LOOK],
        cwd=repo.path,
        env=dict(repo.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.returncode == 0, done.stderr
    assert seen(done.stdout, "title")[0].split()[:4] == [sys.executable, "-P", "-m", "gitrelay.supervisor"]
    assert seen(done.stdout, "cwd") == [f"{repo.path}/.git"] and seen(done.stdout, "terminal") == ["0"]
