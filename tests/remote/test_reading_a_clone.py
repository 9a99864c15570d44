"""What a plain `git clone` shows of the sessions that its remote has, before anything of gitrelay was fetched."""

from __future__ import annotations

import json

from gitrelay.protocol.record import name_of, remote_of
from support.gate import Gate
from support.repo import Repo
from support.team import made, turn


def test_the_names_of_what_git_keeps_of_remotes() -> None:
    assert name_of("refs/remotes/origin/relay/s") == name_of("refs/heads/relay/s") == "s"
    assert remote_of("refs/remotes/origin/relay/s") == "origin" and remote_of("refs/heads/relay/s") == ""


def test_a_plain_clone_reads_at_once_and_writes_nothing(answered: Repo) -> None:
    team = made(answered)
    turn(team.one, "t", "echo second")
    assert team.one.relay("push", "--yes").code == 0
    two = team.clone()
    before = two.sh("git for-each-ref; find .git -type f | sort")

    listing = two.relay("ls", "--json").json["data"]
    assert [(row["session"], row["remote"]) for row in listing] == [("t", "origin"), ("s", "origin")]
    shown = two.relay("ls")
    assert "(origin)" in shown.out and "git relay fetch origin" in shown.err
    assert "s/01" in two.relay("log").out and "t/01" in two.relay("log", "t").out
    assert "second" in two.relay("show", "t/1").out and "second" in two.relay("show", "t").out
    assert "t/01" in two.relay("grep", "second").out
    assert two.relay("stats", "--json").json["data"]["total"]["calls"] == 2
    assert two.relay("export", "-o", "../all.json").code == 0
    sessions = json.loads((two.path.parent / "all.json").read_text())["sessions"]
    assert sorted(one["session"] for one in sessions) == ["s", "t"]
    assert two.sh("git for-each-ref; find .git -type f | sort") == before

    for words in (("req", "--to", "shell", "--session", "s", "true"), ("res", "s/01", "--verify", "pass", "x")):
        done = two.relay(*words, "--json")
        assert done.code == 2, words
    assert two.relay("req", "--to", "shell", "--session", "s", "true", "--json").json["errors"][0]["code"] == "not-here"
    assert two.sh("git for-each-ref refs/heads/relay") == ""
    assert two.relay("fetch").code == 0
    assert [row["remote"] for row in two.relay("ls", "--json").json["data"]] == [None, None]
    assert "has more" not in two.relay("ls").err
    turn(two, "s")
    assert "has more" not in two.relay("ls").err
    turn(team.one, "t")
    assert team.one.relay("push").code == 0
    two.git("fetch", "-q")
    assert "origin has more of t: git relay fetch origin" in two.relay("ls").err


def test_the_hook_shares_a_verdict_which_check_finds_in_a_clone(gate: Gate) -> None:
    env = {**gate.repo.env, "FAKE_PEER_SAW": str(gate.repo.path.parent / "saw.jsonl")}
    gate = Gate(Repo(gate.repo.path, env), gate.origin)
    gate.repo.git("switch", "-q", "-c", "topic")
    gate.commit()
    gate.repo.git("config", "relay.gateShare", "true")
    done = gate.push()
    assert done.code == 0 and gate.state() == "passed", done.err
    assert gate.there("refs/heads/relay/review-topic") == gate.repo.git("rev-parse", "relay/review-topic")
    assert not gate.there("refs/relay/code/review-topic"), "the files were not asked for"
    gate.repo.sh(f"git clone -q {gate.origin} ../ci; cd ../ci; git switch -q topic")
    ci = Gate(Repo(gate.repo.path.parent / "ci", gate.repo.env), gate.origin)
    words = ("origin/main..HEAD", "--to", "fake")
    assert ci.state(*words) == "passed"
    assert not (ci.repo.path / ".git/relay/passed").exists()
    # one that breaks the rules is no verdict
    ci.repo.sh(
        "cd ../origin.git; tip=refs/heads/relay/review-topic\n"
        "git update-ref $tip $(git log -1 --format=%B $tip | git commit-tree $tip~1^{tree} -p $tip~1)\n"
        "cd ../ci; git fetch -q"
    )
    assert ci.state(*words) == "not fetched"
