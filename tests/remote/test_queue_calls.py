"""Calls that another machine answers, as a user would type them: two clones and a bare remote."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.repo import Repo, with_one_commit
from support.waiting import eventually

WORKER = ("worker", "--remote", "origin", "--peers", "shell", "--poll", "0.1s")


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    """A caller's clone and a worker's, with one bare remote."""
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    return caller, Repo(tmp_path / "far", env)


def test_a_worker_answers_what_another_machine_asked(two: tuple[Repo, Repo]) -> None:
    """The files travel there and back; the answer is the record, on both sides and at the remote."""
    caller, far = two
    (caller.path / "new.txt").write_text("not committed\n")
    asked = caller.relay(
        "req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "cat new.txt; echo made > made.txt"
    )
    assert (asked.code, asked.out) == (0, "s/01\n"), asked.err
    waits = caller.relay("queue", "--json").json["data"]["jobs"]
    assert [(row["session"], row["to"], row["state"]) for row in waits] == [("s", "shell", "waiting")]
    status = caller.relay("status")
    assert "no worker has taken it" in status.err and "away" in status.out, status.err
    assert caller.relay("tail", "s/01", "--timeout", "1s").code == 8
    refused = far.relay(*WORKER, "--once")
    assert refused.code == 2 and "--signers FILE" in refused.err
    done = far.relay(*WORKER, "--once", "--unsigned", "--json")
    assert done.code == 0, done.err
    assert [row["end"] for row in done.json["data"]["jobs"]] == ["answered"], done.err
    assert "WARNING: everybody" in done.err
    answered = caller.relay("wait", "s/01")
    assert answered.code == 0 and "not committed" in answered.out, answered.err
    assert "made.txt" in caller.relay("diff", "s/01").out
    applied = caller.relay("apply", "s/01")
    assert applied.code == 0 and (caller.path / "made.txt").read_text() == "made\n", applied.err
    trailers = caller.git("log", "--format=%(trailers)", "-1", "--grep=^res 01", "relay/s")
    assert "had been deleted" not in caller.git("log", "--format=%B", "relay/s"), "the worker had none to lose"
    assert "Relay-Epoch: 1" in trailers and "Relay-Worker: " in trailers and "Relay-Job: " in trailers
    fsck = caller.relay("fsck")
    assert fsck.code == 0, fsck.out
    refs = caller.git("ls-remote", "origin", "refs/relay/*", "refs/heads/relay/*").split()[1::2]
    assert sorted(refs) == ["refs/heads/relay/s", "refs/relay/code/s"]
    for repo in two:
        assert repo.git("for-each-ref", "refs/relay/seen") == ""
    assert not (far.path / "made.txt").exists() and not list((far.path / ".relay").glob(".work/*/*"))
    again = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo two")
    assert (again.code, again.out) == (0, "s/02\n"), again.err
    assert far.relay(*WORKER, "--once", "--unsigned").code == 0
    assert caller.relay("wait", "s/02").code == 0
    assert caller.relay("fsck").code == 0


def test_a_request_from_elsewhere_is_handed_nothing_of_the_workers_own(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Who names an exchange of the worker's repository in a job does not get its text into the peer's prompt."""
    caller, far = two
    far.sh(
        "git config relay.codex.plain true; git config relay.codex.command \"sh -c 'cat > $PWD/../prompt; echo seen'\""
    )
    assert far.relay("req", "--to", "shell", "--session", "own", "echo private words").code == 0
    word = f"own/01@{far.git('rev-parse', 'relay/own')}"
    script = tmp_path / "forge.py"
    script.write_text(
        "from pathlib import Path\nfrom gitrelay.calls.order import Order\nfrom gitrelay.remote.away import asking\n"
        f"order = Order('Look.', ('codex',), session='s', binding={{'Relay-Context': {word!r}}})\n"
        "asking.submit(Path.cwd(), order, 'origin')\n"
    )
    caller.sh(f"{sys.executable} -P {script}")
    assert word in caller.git("log", "-1", "--format=%B", "relay/s")
    done = far.relay(*WORKER[:3], "--peers", "codex", "--once", "--unsigned")
    assert done.code == 0, done.err
    said = (tmp_path / "prompt").read_text()
    assert "Look." in said and "private words" not in said


def test_a_cancelled_call_has_one_answer(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """The submitter's own: a worker that has the job loses it, stops, and keeps what it had."""
    caller, far = two
    asked = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "sleep 1000")
    assert asked.code == 0, asked.err
    running = far.start(*WORKER, "--jobs", "1", "--unsigned", "--lease", "1s", env=mark)
    try:
        taken = lambda: "taken by" in caller.relay("status").err  # noqa: E731
        assert eventually(taken, 60)
        done = caller.relay("cancel", "s/01")
        assert done.code == 0 and "cancelled" in done.out, done.err
        _, err = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
            running.wait()
    assert "the job was taken away" in err.decode() and "refs/relay/aside/s/" in err.decode()
    assert caller.git("ls-remote", "origin", "refs/relay/queue/*") == ""
    here = caller.git("rev-parse", "relay/s")
    assert caller.git("ls-remote", "origin", "refs/heads/relay/s").split()[0] == here
    assert caller.relay("wait", "s/01").code == 4


def test_only_signed_requests_are_answered(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    """Case 30: an unsigned one is left alone, and so is one by a key that is in no file of the worker's."""
    caller, far = two
    for name in ("known", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(words, check=True)
    signers = tmp_path / "signers"
    signers.write_text(f'uma namespaces="git" {(tmp_path / "known.pub").read_text()}')
    cheat = tmp_path / "cheat"
    cheat.write_text('#!/bin/sh\necho "Good \\"git\\" signature for uma with ED25519 key SHA256:x"\n')
    cheat.chmod(0o755)
    far.git("config", "gpg.ssh.program", str(cheat))
    caller.git("config", "gpg.format", "ssh")

    def ask(session: str) -> None:
        done = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", session, "echo hi")
        assert done.code == 0, done.err

    ask("unsigned")
    caller.git("config", "relay.sign", "true")
    caller.git("config", "user.signingKey", str(tmp_path / "other.pub"))
    ask("other")
    caller.git("config", "user.signingKey", str(tmp_path / "known.pub"))
    ask("known")
    done = far.relay(*WORKER, "--once", "--signers", str(signers), "--json")
    assert done.code == 0, done.err
    data = done.json["data"]
    assert [row["session"] for row in data["jobs"]] == ["known"], done.err
    assert len(data["left_alone"]) == 2 and all("not signed" in why for why in data["left_alone"].values())
    caller.git("config", "relay.origin.workers", str(signers))
    refused = caller.relay("wait", "known")
    assert refused.code == 4 and "no worker of yours has signed it" in refused.out, refused.err
    far.git("config", "relay.sign", "true")
    far.git("config", "gpg.format", "ssh")
    far.git("config", "user.signingKey", str(tmp_path / "known.pub"))
    ask("both")
    far.git("config", "gpg.ssh.program", "ssh-keygen")
    assert far.relay(*WORKER, "--once", "--signers", str(signers)).code == 0
    answered = caller.relay("wait", "both")
    assert answered.code == 0, answered.out + answered.err
    far.git("config", "relay.repository", "another")
    ask("replayed")
    done = far.relay(*WORKER, "--once", "--signers", str(signers), "--json")
    assert "made for another repository" in str(done.json["data"]["left_alone"]), done.err


def test_a_forged_answer_is_kept_apart(two: tuple[Repo, Repo]) -> None:
    """Who can push can move the branch; what is not an answer to this request is not shown as one."""
    caller, _ = two
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo hi").code == 0
    forged = caller.sh("git commit-tree -p relay/s -m 'res 01 shell -> uma: done, verify pass' relay/s^{tree}").strip()
    caller.git("push", "-q", "origin", f"{forged}:refs/heads/relay/s")
    done = caller.relay("wait", "s/01")
    assert done.code == 4 and "was refused: its commit is no answer" in done.out, done.err
    assert caller.git("rev-parse", f"refs/relay/rejected/s/{forged[:12]}") == forged


def test_a_worker_says_what_it_would_offer(two: tuple[Repo, Repo]) -> None:
    caller, far = two
    done = caller.relay("req", "--on", "nowhere", "--to", "shell", "echo hi")
    assert done.code == 2 and "there is no remote 'nowhere'" in done.err
    assert caller.relay("ls").out == ""
    done = far.relay(*WORKER, "--unsigned", "--check")
    assert done.code == 0 and "access:     read, write" in done.out
    assert far.relay("queue").err == "nothing waits\n"
    assert "queue origin" in far.relay("doctor").out


def test_a_request_beyond_the_offer_is_left_alone(two: tuple[Repo, Repo]) -> None:
    """Access is the worker's to give."""
    caller, far = two
    for session, access in (("f", "full"), ("w", "write")):
        words = ("--to", "shell", "--session", session, "--access", access, "echo hi")
        assert caller.relay("req", "--on", "origin", "-d", *words).code == 0
    done = far.relay(*WORKER, "--once", "--unsigned", "--json")
    data = done.json["data"]
    assert [(row["session"], row["end"]) for row in data["jobs"]] == [("w", "answered")], done.err
    assert list(data["left_alone"].values()) == ["access 'full' is not offered"]
    assert caller.relay("wait", "w/01").code == 0 and caller.relay("wait", "f/01", "--timeout", "1s").code == 8
    assert far.git("for-each-ref", "refs/heads/relay/f") == ""


# name -> (the tree of the forged answer, what else its commit is made with, the words of its refusal)
FORGERIES = {
    "two commits": ("$T", "-p $(git commit-tree -p $R -m x $R^{tree}) -F ../m", "not one commit"),
    "another job": ("$T", "-p $R -F ../job", "another job"),
    "an earlier file": ('$(git ls-tree $T | sed "s/$Q/$A/" | git mktree)', "-p $R -F ../m", "more of the session"),
    "another message": ('$(git ls-tree $T | sed "s/$A/$Q/" | git mktree)', "-p $R -F ../m", "cannot be read"),
    "another verdict": ("$T", "-p $R -F ../verdict", "differ in Relay-Verify"),
    "other files": ("$T", "-p $R -F ../tree", "not on the remote"),
}


def test_an_answer_is_held_to_its_request(two: tuple[Repo, Repo]) -> None:
    """Each forgery is made of the real answer, which the last one is: that is taken."""
    caller, far = two
    ask = ("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo hi")
    assert caller.relay(*ask).code == 0
    request = caller.git("rev-parse", "relay/s")
    state = (caller.path / ".git/relay/away/s").read_bytes()
    assert far.relay(*WORKER, "--once", "--unsigned").code == 0
    caller.git("fetch", "-q", "origin", "+refs/heads/relay/s:refs/real/s", "+refs/relay/code/s:refs/real/code")
    real = caller.git("log", "-1", "--format=%B", "refs/real/s")
    names = "R=$(git rev-parse relay/s); T=$(git rev-parse refs/real/s^{tree}); Q=$(git rev-parse $T:01.req.md); "
    names += "A=$(git rev-parse $T:01.res.md); "
    texts = {
        "m": real,
        "job": re.sub("(?m)^Relay-Job: .*", "Relay-Job: " + "0" * 26, real),
        "verdict": real.replace("Relay-Verify: pass", "Relay-Verify: fail"),
        "tree": re.sub("(?m)^Relay-Tree: .*", f"Relay-Tree: {caller.git('rev-parse', 'relay/s^{tree}')}", real),
    }
    for name, text in texts.items():
        (caller.path.parent / name).write_text(text)
    for name, (tree, words, why) in FORGERIES.items():
        forged = caller.sh(f"{names}git commit-tree {tree} {words}").strip()
        caller.git("push", "-qf", "origin", f"{forged}:refs/heads/relay/s")
        done = caller.relay("wait", "s/01")
        assert done.code == 4 and why in done.out, f"{name}: {done.out} {done.err}"
        caller.git("update-ref", "refs/heads/relay/s", request)
        (caller.path / ".git/relay/away/s").write_bytes(state)
    caller.git("push", "-qf", "origin", "refs/real/s:refs/heads/relay/s")
    done = caller.relay("wait", "s/01")
    assert done.code == 0 and "hi" in done.out, done.err


@contextlib.contextmanager
def killed(repo: Repo, seen: Path, mark: dict[str, str]) -> Iterator[None]:
    """A worker that is killed with SIGKILL once the file `seen` is there; what its peer had begun runs on."""
    running = repo.start(*WORKER, "--unsigned", "--lease", "1s", env=mark)
    try:
        assert eventually(seen.exists, 60)
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()
    yield


def test_another_worker_follows_one_that_was_killed(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """Its peer still runs, and what it says later counts for nobody."""
    caller, far = two
    seen = caller.path.parent / "seen"
    other = Repo(caller.path.parent / "other", caller.env)
    caller.sh("git clone -q ../hub.git ../other")
    task = f"mkdir {seen} 2>/dev/null && exec sleep 1000; echo second"
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", task).code == 0
    with killed(far, seen, mark):
        done = other.relay(*WORKER, "--jobs", "1", "--unsigned", timeout=120)
    assert done.code == 0 and "attempt 2" in done.err, done.err
    answered = caller.relay("wait", "s/01")
    assert answered.code == 0 and "second" in answered.out, answered.err
    assert far.relay("cancel", "s/01").code == 0
    assert far.relay(*WORKER, "--once", "--unsigned").code == 0
    here = caller.git("rev-parse", "relay/s")
    assert caller.git("ls-remote", "origin", "refs/heads/relay/s").split()[0] == here
    assert caller.relay("fsck").code == 0


def test_a_worker_that_is_started_again_asks_no_peer_twice(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """The call outlives the worker, and the next worker of that clone waits for it and publishes it."""
    caller, far = two
    log, go = caller.path.parent / "log", caller.path.parent / "go"
    task = f"echo run >> {log}; until [ -e {go} ]; do sleep 0.05; done; echo done"
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", task).code == 0
    with killed(far, log, mark):
        again = far.start(*WORKER, "--jobs", "1", "--unsigned", env=mark)
        assert again.stderr is not None
        said = b""
        while b"goes on" not in said:
            said = again.stderr.readline()
            assert said, "it ended"
        go.touch()
        again.communicate(timeout=120)
    answered = caller.relay("wait", "s/01")
    assert answered.code == 0 and "done" in answered.out, answered.err
    assert log.read_text() == "run\n"


def test_a_remote_that_is_away_gets_everything_later(two: tuple[Repo, Repo]) -> None:
    """A request that is sent later, and an end that is told later."""
    caller, far = two
    hub, away = caller.path.parent / "hub.git", caller.path.parent / "away.git"
    assert far.relay("queue").code == 0
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "a", "echo a").code == 0
    hub.rename(away)
    asked = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "b", "echo b")
    assert asked.code == 0 and "not sent yet" in asked.err, asked.err
    cancelled = caller.relay("cancel", "a/01")
    assert cancelled.code == 0 and "the remote is not told yet" in cancelled.err, cancelled.err
    assert caller.relay("wait", "b/01", "--timeout", "1s").code == 8
    away.rename(hub)
    assert "no worker has taken it" in caller.relay("status").err
    jobs = caller.relay("queue", "--json").json["data"]["jobs"]
    assert [row["session"] for row in jobs] == ["b"]
    here = caller.git("rev-parse", "relay/a")
    assert caller.git("ls-remote", "origin", "refs/heads/relay/a").split()[0] == here
