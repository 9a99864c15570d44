"""Checks that a worker runs for who asked: only if it offers that, and what it says of them is its word."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitrelay.protocol import check
from gitrelay.protocol.record import Commit, Trailer
from gitrelay.remote.queue import trust
from support.repo import Repo, with_one_commit
from support.waiting import eventually

WORKER = ("worker", "--remote", "origin", "--peers", "shell", "--poll", "0.1s", "--unsigned", "--once")
ASK = ("req", "--on", "origin", "-d", "--to", "shell")


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    return caller, Repo(tmp_path / "far", env)


def test_a_worker_runs_checks_only_if_it_offers_that(
    two: tuple[Repo, Repo], tmp_path: Path, mark: dict[str, str]
) -> None:
    """They run on the answer's files, leave nothing in them, and count as the worker's word on the side that asked."""
    caller, far = two
    fails = "touch litter; echo two are missing; exit 3"
    checks = ("--check-remote", "test -e made.txt", "--check-remote", fails)
    words = ("--session", "s", *checks, "--key", "k", "touch made.txt")
    asking = caller.start(*(word for word in ASK if word != "-d"), "--apply", *words, env=mark)
    waits = lambda: "/shell/" in caller.git("ls-remote", "origin", "refs/relay/queue/*")  # noqa: E731
    assert eventually(waits, 60)
    left = far.relay(*WORKER, "--json")
    (why,) = left.json["data"]["left_alone"].values()
    assert why == "it wants checks to be run here, and they are not offered (--run-checks)"
    assert far.git("for-each-ref", "refs/heads/relay") == ""
    done = far.relay(*WORKER, "--run-checks")
    assert done.code == 0 and "s/01: answered" in done.err, done.err
    assert "WARNING: checks: commands that a request names are run as you" in done.err
    _, err = asking.communicate(timeout=120)
    assert asking.returncode == 1 and b"not applied: it ended with a check at the worker that did not pass" in err, err
    answered = caller.relay("wait", "s", "--json")
    (data,) = answered.json["data"]
    told = [(one["command"], one["result"]) for one in data["worker_checks"]]
    assert told == [("test -e made.txt", "pass"), (fails, "fail (exit 3)")]
    assert (data["checks"], data["checked"], data["outcome"]) == ([], False, "pass")
    (error,) = answered.json["errors"]
    assert answered.code == 1 and error["message"].startswith("s/01: the worker says: check fail (exit 3)")
    assert "two are missing" in caller.git("log", "-1", "--format=%b", "relay/s")
    changed = caller.relay("diff", "s").out
    assert "made.txt" in changed and "litter" not in changed
    again = caller.relay("wait", "s")
    assert again.code == 1 and "the worker says: check pass: test -e made.txt" in again.err
    assert "==> s/01: the worker says: check fail (exit 3): touch litter" in caller.relay("show", "s").out
    assert caller.relay("stats", "--json").json["data"]["total"]["checks"]["checked"] == 0
    assert caller.relay("export", "-o", str(tmp_path / "site")).code == 0
    pages = "".join(path.read_text() for path in (tmp_path / "site").rglob("s.html"))
    assert "its word: nobody here saw them run" in pages
    assert caller.relay("fsck").code == 0
    same = caller.relay(*ASK, *words)
    other = caller.relay(*ASK, "--session", "s", *checks[:2], "--key", "k", "touch made.txt")
    assert same.code == 0 and other.code == 2 and "its --check-remote is" in other.err, other.err


def test_what_cannot_be_run_there_is_refused_here(two: tuple[Repo, Repo]) -> None:
    caller, far = two
    for words, said in (
        (("req", "--to", "shell", "--check-remote", "true", "x"), "--check-remote goes with --on"),
        ((*ASK, "--access", "read", "--check-remote", "true", "x"), "--access read exclude each other"),
        ((*ASK, "--check-remote", " ", "x"), "is not a command"),
        ((*ASK, "--check-remote", "x" * 800, "--check-remote", "y" * 800, "x"), "2 commands are too long"),
        ((*ASK, "--check-remote", "curl -H 'x: ghp_" + "a1B2" * 9 + "'", "x"), "looks like a secret"),
    ):
        done = caller.relay(*words)
        assert done.code == 2 and said in done.err, done.err
    assert caller.relay("ls").out == ""
    far.git("config", "relay.workerChecks", "perhaps")
    done = far.relay(*WORKER)
    assert done.code == 2 and "relay.workerchecks" in done.err.lower() and "'perhaps'" in done.err


def test_the_word_of_a_worker_is_read_strictly() -> None:
    """One that says too little, too much, or something else says nothing."""
    asked = check.render_list(["a", "b"])
    assert check.told(asked, '["pass", "timeout"]') == (("a", "pass"), ("b", "timeout"))
    for said in ("", "[]", '["pass"]', '["pass", "pass", "pass"]', '["pass", "great"]', "{", '["pass", 1]', "[" * 9999):
        assert check.told(asked, said) == (("a", check.NOT_TOLD), ("b", check.NOT_TOLD)), said
    assert check.told("", '["pass"]') == ()

    def of(text: str) -> tuple[str, ...] | None:
        return trust.checks_of(Commit("0" * 40, 0, "req 01", {Trailer.REMOTE_CHECKS: text}))

    assert of("") == () and of('["a b", "c"]') == ("a b", "c")
    for text in ('["a\\nb"]', '[""]', '"a"', "[1]", "nothing", str(["x"] * 21).replace("'", '"')):
        assert of(text) is None, text
