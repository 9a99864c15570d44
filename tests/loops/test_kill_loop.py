"""A loop that is killed, with everything it runs, after every commit goes on and pays for nothing twice."""

from __future__ import annotations

import contextlib
import os

import psutil
import pytest

from support import loops
from support.loops import calls
from support.repo import Repo
from support.soak import rounds
from support.waiting import eventually, processes_with


@pytest.fixture
def place(repo: Repo) -> Repo:
    return loops.make(repo)


def test_a_killed_loop_goes_on_and_pays_for_nothing_twice(place: Repo, mark: dict[str, str]) -> None:
    """The same final tree, and the same number of calls as without kills.

    A peer waits until it is let go on, so that a kill after the commit of a request comes before its model is asked.
    """
    count = rounds(2, 5)
    gate = place.path.parent / "gate"
    gate.write_text("0")
    env = {**mark, "GATE": str(gate), "ENOUGH": str(count)}
    terms = ("--session", "w", "--build", "builder", "--review", "rev", "--rounds", "9", "--check", "test -e n")
    words: tuple[str, ...] = ("loop", *terms, "-d", "Count.")
    killed: set[str] = set()  # commits after which all was killed
    while "loop: passed" not in ends(place):
        assert place.relay(*words, env=env).code == 0
        words = ("loop", "--resume", "w", "-d")
        assert eventually(lambda was=frozenset(killed): bool(set(tips(place)) - was), 60)  # type: ignore[misc]
        waiting = [s for s in ends(place).split("\n") if s.startswith("req")]
        if waiting and sum(s == waiting[0].partition(" -> ")[2] for s in asked(place)) > 1:
            before = tips(place)
            gate.write_text(str(len(calls(place)) + 1))  # it was killed once: its second try may go on
            assert eventually(lambda was=before: tips(place) != was, 60), subjects(place)  # type: ignore[misc]
        kill_all(mark)
        killed |= set(tips(place))
        assert len(killed) < 40 * count, subjects(place)
    assert calls(place) == ["build", "review"] * count
    assert (place.path / "n").read_text() == str(count)
    assert len(killed) > 5 * count
    assert place.relay("fsck").code == 0


def tips(place: Repo) -> list[str]:
    return place.sh("git for-each-ref --format='%(objectname)' refs/heads/relay").split()


def subjects(place: Repo) -> str:
    return place.sh("git log --format='%S %s' --glob=refs/heads/relay/*")


def ends(place: Repo) -> str:
    """The subjects of the last commits, and how the loop ended."""
    format_ = "%(subject)%0a%(contents:trailers:key=Relay-Loop)"
    return place.sh(f"git for-each-ref --format='{format_}' refs/heads/relay").replace("Relay-Loop", "loop")


def asked(place: Repo) -> list[str]:
    """Peer and task of each request that was made."""
    return [
        line.partition(" -> ")[2]
        for line in place.sh("git log --glob=refs/heads/relay/* --format=%s").split("\n")
        if line.startswith("req")
    ]


def kill_all(mark: dict[str, str]) -> None:
    """SIGKILL for every process with the mark, those that it starts meanwhile too."""
    ((name, value),) = mark.items()
    while found := [p for p in processes_with(name, value) if p.pid != os.getpid()]:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=5)
