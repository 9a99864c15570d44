"""What every engine promises, over every transport. No case depends on luck: what must come first is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelay.protocol.record import BRANCHES
from gitrelay.remote.queue import text
from gitrelay.remote.queue.jobs import Job, Lease, Unreachable, Update
from gitrelay.remote.queue.record import Published
from gitrelay.remote.queue.wire import Outcome
from support import httpgit
from support.queues import LONG, SHORT, Hub, Machine
from support.waiting import eventually, patient


def taken(machine: Machine, wait: float = 0.0, peers: tuple[str, ...] = ("codex",)) -> Lease:
    lease = machine.queue.take(peers, wait)
    assert lease is not None
    return lease


@pytest.mark.parametrize("far", ["folder", "http", "ssh", "nats"], indirect=True)
def test_a_job_goes_to_one_worker_and_ends_with_its_answer(far: Hub) -> None:
    """Cases 1, 2, 3, 6 and 7."""
    uma, a, b = far.machine("uma"), far.machine("a", LONG), far.machine("b", LONG)
    job = uma.request("s")
    assert not uma.queue.submit(job)
    lease = taken(a)
    assert (lease.job, lease.attempt) == (job, 1)
    assert b.queue.take(["codex"], 0) is None
    renewed = a.queue.renew(lease)
    assert renewed is not None and renewed.until > lease.until
    assert far.broker or a.queue.renew(lease) is None, "its tip is an old one"
    assert b.queue.take(["codex"], 0) is None
    assert list(uma.queue.pending()) == [job.id]
    assert far.broker or a.publish(lease) == Published.LOST
    assert a.publish(renewed) == Published.OURS
    assert a.publish(renewed) == Published.OURS, "the same answer again"
    a.queue.settle(renewed)
    assert list(uma.queue.pending()) == []
    assert far.answers("s") == ["req 01 s", "res 01 by a, attempt 1"]
    assert far.refs() == [BRANCHES + "s"]


@pytest.mark.parametrize("far", ["folder", "http", "ssh"], indirect=True)
def test_a_silent_worker_is_followed_by_another(far: Hub) -> None:
    """Cases 4, 5 and 6: the one that comes back is refused everything."""
    uma, a, b = far.machine("uma"), far.machine("a", SHORT), far.machine("b")
    uma.request("s")
    old = taken(a)
    new = taken(b, patient(60))
    assert new.attempt == 2
    assert a.queue.renew(old) is None
    assert a.publish(old) == Published.LOST
    assert b.publish(new) == Published.OURS
    assert a.publish(old) == Published.ANSWERED
    a.queue.settle(old)
    assert far.answers("s") == ["req 01 s", "res 01 by b, attempt 2"]
    assert list(uma.queue.pending()) == []


def test_renewals_keep_a_job_however_late_they_are(hub: Hub) -> None:
    """Case 3: twice the lease and more, by a watcher that looks between every two renewals."""
    uma, a, b = hub.machine("uma"), hub.machine("a", SHORT), hub.machine("b")
    uma.request("s")
    lease = taken(a)
    end = time.monotonic() + 3 * SHORT
    while time.monotonic() < end:
        assert b.queue.take(["codex"], 0) is None
        renewed = a.queue.renew(lease)
        assert renewed is not None
        lease = renewed
    assert a.publish(lease) == Published.OURS


@pytest.mark.parametrize("far", ["folder", "http", "ssh", "nats"], indirect=True)
def test_order_offers_and_giving_back(far: Hub) -> None:
    """Cases 8, 9, 10, 11, 31 and 33."""
    uma, a, b = far.machine("uma"), far.machine("a"), far.machine("b")
    late, early = uma.request("late", prio=7), uma.request("early", prio=2)
    other = uma.request("other", peer="claude")
    first = taken(a)
    assert first.job == early
    a.queue.settle(first, done=False)
    again = taken(b, patient(60))
    assert (again.job, again.attempt) == (early, 2)
    assert not uma.queue.cancel(early), "somebody holds it"
    assert a.queue.take(["gemini"], 0) is None
    assert uma.queue.cancel(late) and not uma.queue.cancel(late)
    assert b.queue.take(["codex"], 0) is None
    assert taken(b, peers=("claude", "codex")).job == other
    assert b.queue.renew(again) is not None, "what is offered now does not matter to what is held"


@pytest.mark.parametrize("far", ["folder", "nats"], indirect=True)
def test_only_what_is_wanted_is_taken(far: Hub) -> None:
    """A job that the worker may not answer is left alone, whatever its urgency; others may take it, as their first."""
    uma, a, b = far.machine("uma"), far.machine("a", 3 if far.broker else LONG), far.machine("b")
    uma.request("unsigned", prio=0)
    signed = uma.request("signed", prio=9)
    lease = a.queue.take(["codex"], 0, lambda job: job.session == "signed")
    assert lease is not None and lease.job == signed
    other = taken(b, patient(60))
    assert (other.job.session, other.attempt) == ("unsigned", 1)


@pytest.mark.parametrize("far", ["folder", "http", "ssh", "nats"], indirect=True)
def test_the_submitters_own_answer_ends_a_running_job(far: Hub) -> None:
    """Case 12: cancelled, or expired, while a worker holds it."""
    from gitrelay.remote.queue import record

    uma, a = far.machine("uma"), far.machine("a")
    job = uma.request("s")
    lease = taken(a)

    answer = uma.commit([job.request], "res 01 cancelled")
    ending = lambda: uma.queue.ending(job)  # noqa: E731
    assert record.answer_instead(uma.wire, job, answer, None, ending) == Published.OURS
    uma.queue.withdraw(job)
    assert a.queue.renew(lease) is None
    assert a.publish(lease) == Published.ANSWERED
    a.queue.settle(lease)
    assert far.answers("s") == ["req 01 s", "res 01 cancelled"]
    assert list(uma.queue.pending()) == [] and far.refs() == [BRANCHES + "s"]


@pytest.mark.parametrize("far", ["folder", "http", "ssh"], indirect=True)
def test_an_outage_longer_than_the_lease_takes_nobodys_job(far: Hub) -> None:
    """Cases 14, 15, 16 and 21: unknown is not no, and the clocks of a watcher begin again."""
    uma, a, b = far.machine("uma"), far.machine("a", SHORT), far.machine("b")
    uma.request("s")
    lease = taken(a)
    assert b.queue.take(["codex"], 0) is None
    away = far.path.with_name("away.git")
    far.path.rename(away)
    waiting = Job("0" * 26, "codex", 5, "s2", lease.job.request)
    end = time.monotonic() + 2 * SHORT
    unknown: list[Callable[[], object]] = [
        lambda: b.queue.take(["codex"], 0),
        lambda: a.queue.renew(lease),
        lambda: a.queue.settle(lease),
        lambda: uma.queue.submit(waiting),
        lambda: uma.queue.cancel(waiting),
        lambda: list(uma.queue.pending()),
        lambda: a.publish(lease),
    ]
    for ask in unknown:
        with pytest.raises(Unreachable):
            ask()
    while time.monotonic() < end:
        with pytest.raises(Unreachable):
            b.queue.take(["codex"], 0)
    away.rename(far.path)
    assert b.queue.take(["codex"], 0) is None
    renewed = a.queue.renew(lease)
    assert renewed is not None
    assert a.publish(renewed) == Published.OURS
    assert uma.queue.submit(waiting)


@pytest.mark.parametrize("far", ["folder", "http", "ssh", "nats"], indirect=True)
def test_a_process_that_was_stopped_beyond_its_lease_is_refused(far: Hub) -> None:
    """Cases 5 and 18."""
    uma, b = far.machine("uma"), far.machine("b")
    uma.request("s")
    with worker(far, "a") as a:
        assert a.does("take") == "taken"
        os.kill(a.process.pid, signal.SIGSTOP)
        lease = taken(b, patient(60))
        assert b.publish(lease) == Published.OURS
        os.kill(a.process.pid, signal.SIGCONT)
        assert (a.does("renew"), a.does("publish")) == ("lost", "answered")
    assert far.answers("s") == ["req 01 s", "res 01 by b, attempt 2"]


@pytest.mark.parametrize("far", ["folder", "nats"], indirect=True)
def test_a_killed_worker_loses_nothing_but_its_attempt(far: Hub) -> None:
    """Cases 13, 17 and 24: three dead owners; then a death between the answer and the end of the job."""
    uma, b = far.machine("uma"), far.machine("b")
    job = uma.request("s")
    for name in ("d1", "d2", "d3"):
        with worker(far, name) as dead:
            assert dead.does("take") == "taken"
    last = taken(b, patient(60))
    assert last.attempt == 4, "the worker counts, and may give up"
    b.bring("s")
    answer = b.commit([job.request], "res 01 given up")
    assert b.wire.swap([Update(BRANCHES + "s", job.request, answer)]).outcome == Outcome.WON  # and it died here
    c = far.machine("c")
    b.queue.settle(last, done=False)
    again = taken(c, patient(60))
    assert c.publish(again) == Published.ANSWERED
    c.queue.settle(again)
    assert list(uma.queue.pending()) == []
    assert far.answers("s") == ["req 01 s", "res 01 given up"]


def test_an_answer_of_the_server_that_is_lost_changes_nothing(hub: Hub) -> None:
    """Case 19: git sends the push again by itself, and is refused because of its own first one."""
    hub.git("config", "http.receivepack", "true")
    with httpgit.serving(hub.path.parent) as server:
        there = replace(hub, url=f"{server.url}/hub.git")
        uma, a = there.machine("uma"), there.machine("a")
        job = uma.request("s", submit=False)
        for step in ("submit", "take", "renew", "publish"):
            server.lose = 1
            if step == "submit":
                assert uma.queue.submit(job)
            elif step == "take":
                lease = taken(a)
            elif step == "renew":
                renewed = a.queue.renew(lease)
                assert renewed is not None
                lease = renewed
            else:
                assert a.publish(lease) == Published.OURS
            assert server.lose == 0
    assert hub.answers("s") == ["req 01 s", "res 01 by a, attempt 1"]


@pytest.mark.parametrize("far", ["folder", "http", "ssh"], indirect=True)
def test_a_server_that_refuses_two_pushes_of_three_delays(far: Hub) -> None:
    """Case 20, and worse: a hook that refuses without a reason is no answer about the job."""
    uma, a = far.machine("uma"), far.machine("a")
    job = uma.request("s", submit=False)
    far.hook("pre-receive", 'cd "$GIT_DIR"; echo >> pushes; n=$(wc -l < pushes); [ $((n % 3)) = 0 ]')
    assert uma.queue.submit(job)
    lease = taken(a, patient(60))
    assert a.publish(lease) == Published.OURS
    assert far.answers("s") == ["req 01 s", "res 01 by a, attempt 1"]


def test_races_have_one_winner_each(hub: Hub) -> None:
    """Case 26: two claims that were written for the same tip, pushed at the same time."""
    uma, a, b = hub.machine("uma"), hub.machine("a"), hub.machine("b")
    for n in range(5):
        assert sorted(_raced(uma.request(f"s{n}"), a, b)) == ["lost", "won"]


def _raced(job: Job, *machines: Machine) -> list[str]:
    """The outcomes of a claim by each, pushed at the same time."""
    ref, outcomes, start = text.ref_of(job), list[str](), threading.Barrier(len(machines))

    def race(machine: Machine, tip: str) -> None:
        mine = machine.commit([tip], f"claim of {machine.queue.worker}")
        start.wait()
        outcomes.append(machine.wire.swap([Update(ref, tip, mine)]).outcome.value)

    entries = [(machine, machine.refs.entry(job)) for machine in machines]
    runs = [threading.Thread(target=race, args=(machine, entry.tip)) for machine, entry in entries if entry]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    return outcomes


def test_polls_stay_small_whatever_has_ended(hub: Hub) -> None:
    """Case 28, as far as polls go: 1 kB and 100 bytes for each open job."""
    hub.git("config", "http.receivepack", "true")
    uma = hub.machine("uma")
    commit = uma.commit([], "ended")
    assert uma.wire.swap([Update("refs/relay/code/x", "", commit)]).outcome == Outcome.WON
    for n in range(3):
        uma.request(f"s{n}")
    lines = "".join(f"create refs/heads/relay/old-{n} {commit}\n" for n in range(2000))
    subprocess.run(["git", "-C", str(hub.path), "update-ref", "--stdin"], input=lines, text=True, check=True)
    hub.git("pack-refs", "--all")
    with httpgit.serving(hub.path.parent) as server:
        b = replace(hub, url=f"{server.url}/hub.git").machine("b")
        assert len(b.refs.poll(["codex"])) == 3
        server.sizes.clear()
        assert len(b.refs.poll(["codex"])) == 3
        assert sum(down for _, _, down in server.sizes) <= 1000 + 3 * 100


class Told:
    """A worker in a process of its own that is told each step."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def does(self, step: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{step}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


class worker:
    """Starts such a worker with a short lease; at the end of the block it is killed."""

    def __init__(self, hub: Hub, name: str) -> None:
        words = [sys.executable, "-P", "-m", "support.queues", str(hub.folder / name), hub.url, str(SHORT)]
        words += [hub.broker] if hub.broker else []
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Told:
        return Told(self.process)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        assert eventually(lambda: self.process.poll() is not None)
