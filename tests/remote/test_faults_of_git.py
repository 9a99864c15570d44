"""The faults of `facts` that need a process, a clock or a remote of their own. The numbers are those of the suite."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from gitrelay.git.repository import Repository
from gitrelay.protocol.record import CODE
from gitrelay.protocol.words import Access
from gitrelay.remote.queue import text, trust
from gitrelay.remote.queue.jobs import Job
from gitrelay.remote.queue.record import There
from gitrelay.remote.queue.trust import NotForUs, Terms
from support import faketime
from support.queues import LONG, SHORT, Hub
from support.repo import GIT_RELAY, Repo, with_one_commit
from support.waiting import eventually, patient

WORKER = ("worker", "--remote", "origin", "--peers", "shell", "--once", "--unsigned")
RACES = 50


class Racer:
    """A worker in a process of its own (`support.racing`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def racers(hub: Hub, *names: str, lease: float = LONG, before: tuple[str, ...] = ()) -> Iterator[list[Racer]]:
    """Such workers; `before` are words in front of their commands. They are killed at the end of the block."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with ExitStack() as stack:
        made = []
        for name in names:
            words = [*before, sys.executable, "-P", "-m", "support.racing", str(hub.folder / name), hub.url, str(lease)]
            process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            made.append(Racer(process))
        yield made


def test_fifty_exact_races_have_fifty_single_winners(hub: Hub) -> None:
    """Case 26: two processes claim the same tip of the same job at the same time, fifty times."""
    uma = hub.machine("uma")
    first = uma.request("s")
    ref = text.ref_of(first)
    tip = uma.wire.look(f"{ref}*")[ref]
    refs = []
    for n in range(RACES):
        job = Job(f"{n:02}" + "0" * 24, "codex", 5, "s", first.request)
        refs.append((text.ref_of(job), uma.queue.enrolment(job).new))
    moves = [f"{new}:{name}" for name, new in refs]
    subprocess.run(["git", "push", "-q", hub.url, *moves, f":{ref}"], cwd=uma.repo.place, check=True)
    with racers(hub, "a", "b") as both:
        for racer in both:
            racer.tell("poll")
        assert [racer.said() for racer in both] == [str(RACES)] * 2
        won = []
        for n in range(RACES):
            for racer in both:
                racer.tell(f"claim {n}")
            outcomes = [racer.said() for racer in both]
            assert sorted(outcomes) == ["lost", "won"], f"race {n}"
            won.append("ab"[outcomes.index("won")])
    now = hub.machine("c").refs.poll(["codex"])
    assert [entry.state.worker for entry in now] == won
    assert all(entry.state.epoch == 1 for entry in now) and tip


def test_a_worker_that_dies_and_one_that_stops_leave_one_answer_each(hub: Hub) -> None:
    """Cases 5, 17, 18 and 27: many jobs, four workers; one kills itself and one stops itself with a job in hand."""
    uma = hub.machine("uma")
    jobs = [uma.request(f"s{n}") for n in range(12)]
    with racers(hub, "stopped", "killed", "b", "c", lease=SHORT) as (stopped, killed, *rest):
        stopped.tell("drain stop")
        there = psutil.Process(stopped.process.pid)
        assert eventually(lambda: there.status() == psutil.STATUS_STOPPED, 60)
        killed.tell("drain kill")
        assert killed.process.wait(patient(60)) == -signal.SIGKILL
        for racer in rest:
            racer.tell("drain")
        others = [word for racer in rest for word in racer.said().split()]
        there.send_signal(signal.SIGCONT)
        assert stopped.said() == "answered"
    assert others.count("ours") == len(jobs)
    for job in jobs:
        assert len(hub.answers(job.session)) == 2
    assert list(uma.queue.pending()) == []


@pytest.mark.parametrize("ahead", ["+1d", "-1d"])
def test_a_clock_that_is_a_day_off_changes_nothing(hub: Hub, ahead: str) -> None:
    """Case 25: a worker holds and loses jobs by nobody's wall clock."""
    uma, b, patient_one = hub.machine("uma"), hub.machine("b", SHORT), hub.machine("p", LONG)
    first, second = uma.request("s", prio=1), uma.request("t", prio=2)
    with racers(hub, "off", lease=SHORT, before=tuple(faketime.require(ahead))) as (off,):
        off.tell("poll")
        assert off.said() == "2"
        off.tell("claim 0")
        assert off.said() == "won"
        entry = b.refs.poll(["codex"])[0]
        assert abs(entry.state.time - (time.time() + (86400 if ahead == "+1d" else -86400))) < 3600, "it is faked"
        taken = patient_one.queue.take(["codex"], 0)
        assert taken is not None and taken.job == second, "the first is held"
        last = b.queue.take(["codex"], patient(60))
        assert last is not None and (last.job, last.attempt) == (first, 2)
        off.tell("drain")
        assert b.publish(last).value == "ours" and patient_one.publish(taken).value == "ours"
        assert off.said() == ""
    assert hub.answers("s") == ["req 01 s", "res 01 by b, attempt 2"]


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    """A caller's clone and a worker's, with one bare remote."""
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    return caller, Repo(tmp_path / "far", env)


def ask(caller: Repo, task: str, session: str = "s") -> None:
    done = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", session, task)
    assert done.code == 0, done.err


def test_a_request_that_is_too_old_is_answered_and_not_run(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Cases 25 and 34: Not-After is the one date that counts, by the worker's clock."""
    caller, far = two
    ask(caller, f"touch {tmp_path}/ran")
    late = [*faketime.require("+2d"), *GIT_RELAY, *WORKER]
    done = subprocess.run(late, cwd=far.path, env=dict(far.env), capture_output=True, text=True, timeout=patient(90))
    assert done.returncode == 0 and "answered" in done.stderr, done.stderr
    answered = caller.relay("wait", "s/01")
    assert answered.code == 4 and "expired" in answered.out, answered.err
    assert not (tmp_path / "ran").exists()


def test_a_hub_that_was_set_back_is_noticed(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Case 29: a mirror of a bystander deletes the job, and it is sent again. Case 23: a second answer is refused."""
    caller, far = two
    other = Repo(tmp_path / "other", caller.env)
    caller.sh("git clone -q ../hub.git ../other")
    ask(caller, "date +%N")
    other.git("push", "-q", "--mirror", "origin")
    assert "relay" not in caller.git("ls-remote", "origin")
    again = caller.relay("status")
    assert "sent again: the remote had lost it" in again.err, again.err
    shutil.copytree(tmp_path / "hub.git", tmp_path / "backup.git")
    assert far.relay(*WORKER).code == 0
    answered = caller.relay("wait", "s/01")
    assert answered.code == 0, answered.err
    first = caller.git("rev-parse", "relay/s")
    shutil.rmtree(tmp_path / "hub.git")
    (tmp_path / "backup.git").rename(tmp_path / "hub.git")
    words = ("req", "--on", "origin", "--to", "shell", "--session", "s", "true")
    refused = caller.relay(*words)
    assert refused.code == 7 and "origin moved session s back" in refused.err, refused.err
    assert other.relay(*WORKER).code == 0
    assert caller.git("ls-remote", "origin", "refs/heads/relay/s").split()[0] != first
    refused = caller.relay(*words)
    assert refused.code == 7 and "origin rewrote session s" in refused.err, refused.err
    fetched = caller.relay("fetch")
    assert fetched.code == 7 and "origin rewrote session s" in fetched.err, fetched.err
    assert caller.git("rev-parse", "relay/s") == first
    assert answered.out in caller.relay("wait", "s/01").out


def test_a_key_that_has_expired_cannot_be_backdated(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Case 30: git holds `valid-before` to the date of the commit, which its signer chooses."""
    caller, _ = two
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", f"{key}.pub"), ("relay.sign", "true")):
        caller.git("config", name, value)
    ask(caller, "true")
    public = key.with_suffix(".pub").read_text()
    expired, good = tmp_path / "expired", tmp_path / "good"
    expired.write_text(f'uma namespaces="git",valid-before="20200101" {public}')
    good.write_text(f'uma namespaces="git" {public}')
    forge = "git cat-file commit relay/s | sed '1,/^$/d' > ../message; "
    forge += "git commit-tree -S -p relay/s^ -F ../message relay/s^{tree}"
    backdated = caller.sh(f"export GIT_COMMITTER_DATE='2019-12-01T00:00:00Z'; {forge}").strip()
    repo, request = Repository.open(caller.path), caller.git("rev-parse", "relay/s")
    id_ = caller.git("log", "-1", "--format=%(trailers:key=Relay-Job,valueonly)", "relay/s").strip()
    project = trust.repository_id(repo)

    def judged(commit: str, signers: Path, revoked: Path | None = None) -> str:
        terms = Terms(("shell",), (Access.READ, Access.WRITE), signers, revoked, project)
        there = There(commit, repo.ref(CODE + "s") or "")
        try:
            trust.judge(repo, terms, Job(id_, "shell", 5, "s", commit), there)
        except NotForUs as e:
            return str(e)
        return ""

    assert judged(request, good) == ""
    assert "not signed by anybody" in judged(request, expired)
    assert trust.signer_of(repo, backdated, expired, None) == "uma", "git alone lets it pass"
    assert "too long before its time limit" in judged(backdated, expired)
    assert "not signed by anybody" in judged(request, good, Path(f"{key}.pub"))
