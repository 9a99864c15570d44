"""`git relay loop` with real processes: its ends, its record, and that a kill loses nothing."""

from __future__ import annotations

import signal

import pytest

from support import loops
from support.loops import calls
from support.repo import Repo
from support.waiting import eventually, patient


@pytest.fixture
def place(repo: Repo) -> Repo:
    return loops.make(repo)


def test_a_loop_goes_on_until_it_passes(place: Repo) -> None:
    check = "test $(cat n) -ge 2 || { echo n is $(cat n); exit 1; }"
    peers = ("--build", "builder", "--review", "rev")
    assert place.relay("req", "--to", "shell", "--session", "old", "echo said before").code == 0
    words = ("--session", "w", *peers, "--rounds", "4", "--check", check, "--context", "old/01")
    done = place.relay("loop", *words, "Count.", "--json")
    assert done.code == 0, done.err
    data = done.json["data"]
    assert (data["end"], data["address"], data["closing"]) == ("passed", "w/01", "w/04")
    one, two, three = data["rounds"]
    assert (one["builds"], one["reviews"], one["checks"][0]["result"]) == (["w/01"], [], "fail (exit 1)")
    assert (two["reviews"], two["findings"][0]["line"], len(two["open"])) == (["w-review/01"], 1, 1)
    assert (three["reviews"], three["open"]) == (["w-review/02"], [])
    assert one["after"] == two["before"] != two["after"]
    assert calls(place) == ["build", "build", "review", "build", "review"]
    second, third = place.git("show", "relay/w:02.req.md"), place.git("show", "relay/w:03.req.md")
    assert "A check of w/01 failed" in second and "n is 1" not in second  # by address, not pasted
    assert f"#{two['open'][0]} n:1" in third and "w-review/01" in third
    trailers = place.git("log", "--reverse", "--format=%(trailers:key=Relay-Loop,valueonly,separator=)", "relay/w")
    first, *_, last = [line for line in trailers.splitlines() if line]
    assert '"rounds": 4' in first and last == "passed"
    handed = place.git("log", "--grep=^req 0[123] ", "--format=%(trailers:key=Relay-Context,valueonly)", "relay/w")
    assert handed.split() == [f"old/01@{place.git('rev-parse', 'relay/old')}"] * 3, "in each round"
    assert place.relay("fsck").code == 0
    # it has ended: nothing is asked again
    again = place.relay("loop", "--resume", "w", "--json")
    assert again.code == 0 and again.json["data"] == data and len(calls(place)) == 5
    # killed between the last request and its answer
    place.git("update-ref", "refs/heads/relay/w", "relay/w~1")
    again = place.relay("loop", "--resume", "w", "--json")
    assert again.code == 0 and again.json["data"] == data and len(calls(place)) == 5


def test_a_loop_that_does_not_pass_says_why(place: Repo) -> None:
    build = ("--build", "builder", "--check")
    done = place.relay("loop", "--session", "same", *build, "echo no; false", "Count.", "--json")
    assert (done.code, done.json["data"]["end"], len(calls(place))) == (1, "stuck", 2)
    env = {"LAZY": "1"}
    done = place.relay("loop", "--session", "lazy", *build, "false", "Count.", "--json", env=env)
    assert (done.code, done.json["data"]["end"], len(calls(place))) == (1, "unchanged", 3)
    done = place.relay(
        "loop", "--session", "gone", "--build", "shell", "--timeout", "1s", "--check", "true", "sleep 60"
    )
    assert done.code == 5 and "no-answer" in done.err
    assert [r["reason"] for r in place.relay("log", "gone", "--json").json["data"]] == ["timeout", "timeout", "timeout"]
    done = place.relay("loop", "--session", "dear", *build, "false", "--budget", "1ms", "Count.", "--json")
    assert (done.code, done.json["data"]["end"]) == (4, "budget")
    for words in (("--session", "x", "--build", "builder"), ("--session", "x", "--check", "true"), ("--resume", "x")):
        assert place.relay("loop", *words, "Count." if words[0] != "--resume" else "--json").code == 2
    assert place.relay("fsck").code == 0


def test_a_loop_is_cancelled_and_waited_for_as_a_whole(place: Repo) -> None:
    gate = place.path.parent / "gate"
    gate.write_text("1")
    env = {"GATE": str(gate)}
    words = ("--build", "builder", "--check", "cat n; false", "Count.")
    running = place.start("loop", "--session", "w", *words, env=env)
    try:
        assert eventually(lambda: "relay/w" in place.git("branch", "--list", "relay/w"))
        assert eventually(lambda: any(s.startswith("req 02") for s in place.subjects("w")), 60)
        running.send_signal(signal.SIGINT)  # in the second round
        said = running.communicate(timeout=patient(60))[1].decode()
    finally:
        running.kill()
    assert running.returncode == 130 and "the loop of w ended: no-answer" in said
    assert [row["reason"] for row in place.relay("log", "w", "--reverse", "--json").json["data"]] == [
        None,
        "cancelled",
        "cancelled",
    ]
    gate.write_text("0")
    assert place.relay("loop", "--session", "x", "-d", *words, env=env).code == 0
    assert place.relay("wait", "x", "--timeout", "10ms").code == 8
    done = place.relay("cancel", "x", "--json")
    assert (done.code, done.json["data"]["address"], done.json["data"]["reason"]) == (0, "x/02", "cancelled")
    assert place.relay("cancel", "x").out == "x/02: cancelled\n", "it has ended"
    done = place.relay("wait", "x", "--json")
    assert (done.code, done.json["data"]["end"]) == (4, "no-answer") and calls(place) == ["build"]
    assert place.relay("req", "--to", "shell", "--session", "plain", "true").code == 0
    assert place.relay("cancel", "plain").out == "plain/01: done, verify pass\n", "its last turn"
    assert "exit 0" in place.relay("wait", "plain").out
    for verb in ("cancel", "wait"):
        assert "no session 'nosuch'" in place.relay(verb, "nosuch").err
    # one that waits for an answer, or whose process is gone, ends too
    place.git("update-ref", "refs/heads/relay/x", "relay/x~2")
    assert place.relay("cancel", "x").out == "x/02: cancelled\n"
    assert place.relay("fsck").code == 0


def test_a_loop_works_in_a_copy_of_the_tree(place: Repo) -> None:
    words = ("--build", "builder", "--review", "rev", "--check", "test -e n", "--isolate")
    done = place.relay("loop", "--session", "w", *words, "Count.", "--json")
    assert done.code == 0, done.err
    assert done.json["data"]["rounds"][0]["reviews"] == ["w/02"]
    assert not (place.path / "n").exists() and calls(place) == ["build", "review"] * 3


def test_a_review_that_fails_is_fixed_in_a_copy(place: Repo) -> None:
    """The review of what would be pushed fails, the peer fixes it in rounds, and the result is left to be applied."""
    place.sh("git switch -qc more; echo 1 > n; git add n; git commit -qm 'Count'")
    done = place.relay("review", "main..more", "--to", "rev", "--fix", "builder", "--rounds", "3")
    assert done.code == 0, done.err
    assert calls(place) == ["review", "build", "review", "build", "review"]
    assert (place.path / "n").read_text() == "1\n" and "review-more/01" in place.git("show", "relay/fix-more:01.req.md")
    applied = [line.strip() for line in done.err.splitlines() if line.startswith("  git relay apply")]
    assert applied == ["git relay apply fix-more/01", "git relay apply fix-more/03"]
    for line in applied:
        assert place.relay("apply", line.rpartition(" ")[2]).code == 0
    assert (place.path / "n").read_text() == "3"
    assert place.relay("review", "--to", "rev", "--rounds", "2").code == 2
