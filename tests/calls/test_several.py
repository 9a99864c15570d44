"""Idempotency keys, and several peers asked side by side."""

from __future__ import annotations

from support.repo import Repo
from support.waiting import eventually, patient

SHELL = ("req", "--from", "uma", "--to", "shell")


def runs(repo: Repo) -> int:
    """How often the counting task has run."""
    return len(repo.sh("cat ../count 2>/dev/null || true").split())


COUNT = "echo x >> ../count; cat ../count"


def test_the_same_key_returns_the_recorded_exchange(repo: Repo) -> None:
    first = repo.relay(*SHELL, "--key", "job 7", "--json", COUNT)
    again = repo.relay(*SHELL, "--key", "job 7", "--json", COUNT)
    assert first.code == again.code == 0, again.err
    assert first.json["data"] | {"replayed": True} == again.json["data"]
    assert runs(repo) == 1
    other = repo.relay(*SHELL, "--key", "job 70", "--session", "s", COUNT)
    assert other.code == 0 and runs(repo) == 2
    address = first.json["data"]["address"]
    repo.relay("archive", address)
    kept = repo.relay(*SHELL, "--key", "job 7", COUNT)
    assert kept.code == 0 and f"{address}: recorded before" in kept.err and runs(repo) == 2
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Key,valueonly)", "relay/s~1").strip() == "job 70"


def test_a_key_belongs_to_its_request(repo: Repo) -> None:
    first = repo.relay(*SHELL, "--key", "k", "--json", COUNT)
    assert first.json["data"]["replayed"] is False
    address = first.json["data"]["address"]
    for words, what in (
        ((*SHELL, "true"), "task"),
        ((*SHELL[:-1], "codex", COUNT), "--to"),
        ((*SHELL, "--session", "other", COUNT), "--session"),
        ((*SHELL, "--name", "other", COUNT), "--name"),
        ((*SHELL, "--access", "full", COUNT), "--access"),
        ((*SHELL, "--check", "true", COUNT), "--check"),
    ):
        done = repo.relay(*words, "--key", "k")
        assert done.code == 2, done.err
        assert f"belongs to {address}, another request: its {what} is " in done.err
        assert f"git relay show {address}" in done.err
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/heads/relay").count("\n") == 0
    assert runs(repo) == 1


def test_a_failed_verdict_holds_its_key_and_gives_the_same_exit_code(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--key", "k", COUNT + "; exit 1").code == 1
    assert repo.relay(*SHELL, "--key", "k", COUNT + "; exit 1").code == 1
    assert runs(repo) == 1


def test_a_run_without_an_answer_does_not_hold_its_key(repo: Repo) -> None:
    timed_out = repo.relay(*SHELL, "--key", "k", "--timeout", "300ms", COUNT + "; sleep 60")
    assert timed_out.code == 5
    assert repo.relay(*SHELL, "--key", "k", COUNT).code == 0
    assert runs(repo) == 2


def test_processes_with_one_key_pay_once_and_share_the_answer(repo: Repo) -> None:
    callers = [repo.start(*SHELL, "--key", "shared", COUNT + "; sleep 1") for _ in range(6)]
    answers = [caller.communicate(timeout=patient(120)) for caller in callers]
    assert [caller.returncode for caller in callers] == [0] * 6, answers
    assert len({out for out, _ in answers}) == 1
    assert runs(repo) == 1
    assert len(repo.git("for-each-ref", "refs/heads/relay").splitlines()) == 1


def test_a_key_that_is_no_key(repo: Repo) -> None:
    for key in ("", "two\nlines", "x" * 201):
        refused = repo.relay(*SHELL, "--key", key, "true")
        assert refused.code == 2 and "is not a key" in refused.err


def test_several_peers_answer_side_by_side(repo: Repo) -> None:
    # each waits for the other's mark, so that they can only end if they run at the same time
    for me, you in (("ann", "bob"), ("bob", "ann")):
        script = f"touch ../{me}; for i in $(seq 600); do [ -e ../{you} ] && break; sleep 0.1; done; echo I am {me}"
        repo.git("config", f"relay.{me}.command", f"sh -c '{script}'")
        repo.git("config", f"relay.{me}.plain", "true")
    both = repo.relay("req", "--to", "ann", "--to", "bob", "--session", "s", "--json", "hello")
    assert both.code == 0, both.err
    assert [row["address"] for row in both.json["data"]] == ["s-ann/01", "s-bob/01"]
    assert [row["body"] for row in both.json["data"]] == ["I am ann", "I am bob"]
    repo.git("config", "relay.bob.command", "sh -c 'exit 9'")
    worst = repo.relay("req", "--to", "ann", "--to", "bob", "--session", "s", "hello again")
    assert worst.code == 4
    assert "s-ann/02: ann" in worst.err and "I am ann" in worst.out and "reason: peer-failed" in worst.out


def test_several_peers_are_checked_before_one_is_asked(repo: Repo) -> None:
    for to in (("shell", "nobody"), ("shell", "shell")):
        refused = repo.relay("req", "--to", to[0], "--to", to[1], "true")
        assert refused.code == 2
    assert repo.git("for-each-ref", "refs/heads/relay") == ""


def test_a_peer_that_is_busy_ends_the_calls_beside_it(repo: Repo) -> None:
    repo.git("config", "relay.ann.command", "sleep 60")
    assert repo.relay("req", "--to", "shell", "--session", "s-shell", "-d", "sleep 60").code == 0
    refused = repo.relay("req", "--to", "ann", "--to", "shell", "--session", "s", "true")
    assert refused.code == 6 and "s-shell/01" in refused.err
    assert eventually(lambda: "cancelled" in repo.git("log", "-1", "--format=%B", "relay/s-ann"))
    assert repo.relay("cancel", "s-shell/01").code == 0
