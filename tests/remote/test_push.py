"""`git relay push`: what arrives at a remote, what is refused, and what is asked before."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gitrelay.remote.known import Known
from gitrelay.remote.share.compare import State, compared
from gitrelay.remote.share.wire import There
from support import sshserver
from support.repo import Repo
from support.team import Team, made, turn
from support.terminal import on_terminal
from support.waiting import eventually


@pytest.fixture
def team(answered: Repo) -> Team:
    return made(answered)


def test_how_a_session_stands_to_the_remotes() -> None:
    line = "abcd"  # each goes on from the one before; x is another history

    def is_ancestor(old: str, new: str) -> bool:
        return old in line and new in line and line.index(old) <= line.index(new)

    def state(here: str | None, there: str | None, shown: str | None) -> State:
        refs = {"refs/heads/relay/s": there} if there else {}
        known = Known({"s": shown} if shown else {}, {})
        return compared(["s"], {"s": here} if here else {}, There(refs), known, is_ancestor)[0].state

    assert state("a", None, None) == State.NEW
    assert state("a", None, "a") == State.GONE
    assert state("b", "a", "a") == State.AHEAD
    assert state("b", "b", None) == State.SAME
    assert state("a", "b", "a") == state(None, "b", None) == State.BEHIND
    assert state("b", "x", None) == State.DIVERGED
    assert state("b", "a", "b") == State.MOVED_BACK
    assert state("b", "x", "b") == State.REWRITTEN
    both = There({"refs/heads/relay/s": "a", "refs/relay/archive/s": "b"})
    (one,) = compared(["s"], {}, both, Known({}, {}), is_ancestor)
    assert one.there == "b" and one.archived_there


def test_the_first_push_asks_and_what_it_sends_arrives_whole(team: Team) -> None:
    one = team.one
    refused = one.relay("push", "--json")
    assert refused.code == 2 and refused.json["errors"][0]["code"] == "share"
    assert "--yes" in refused.json["errors"][0]["hint"]
    assert set(team.there()) == {"refs/heads/main"}
    dry = one.relay("push", "--dry-run", "--json").json["data"]
    assert dry["first"] == ["s"] and dry["public"]["exchanges"] == 1 and dry["public"]["files"] == 0
    assert set(team.there()) == {"refs/heads/main"}

    done = one.relay("push", "--yes")
    assert done.code == 0, done.err
    assert "1 exchange (" in done.err and "secrets: none found" in done.err
    here = one.git("rev-parse", "refs/heads/relay/s")
    there = team.there("refs/heads/relay") | team.there("refs/relay")
    assert there == {"refs/heads/relay/s": here, "refs/relay/code/s": one.git("rev-parse", "refs/relay/code/s")}
    assert one.git("rev-parse", "refs/relay/known/origin/heads/s") == here

    one.sh("echo 'print(2)' > untracked.py")
    turn(one, "s")
    done = one.relay("push", "--json")
    assert done.code == 0 and done.json["data"]["sessions"][0]["result"] == "updated"
    assert done.json["data"]["public"]["files"] == 1
    assert team.there("refs/heads/relay")["refs/heads/relay/s"] == one.git("rev-parse", "refs/heads/relay/s")
    assert one.relay("push", "--json").json["data"]["sessions"][0]["result"] == "same"
    assert one.relay("archive", "s").code == 0
    assert one.relay("push").code == 0
    assert "refs/relay/archive/s" in team.there("refs/relay")


def test_what_is_named_wrongly_or_kept_here_is_refused(team: Team) -> None:
    one = team.one
    unknown = one.relay("push", "origni", "--json")
    assert unknown.code == 2 and unknown.json["errors"][0]["code"] == "unknown-remote"
    assert "origin" in unknown.json["errors"][0]["message"]
    assert one.relay("push", "--upload-pack=touch x").code == 2
    meant = one.relay("push", "s", "--json").json["errors"][0]
    assert meant["code"] == "unknown-remote" and meant["hint"] == "git relay push origin s"
    assert one.relay("push", "origin", "nothing").code == 2
    assert one.relay("push", "--no-share", "s").code == 0
    assert one.git("config", "relay.private") == "s"
    kept = one.relay("push", "origin", "s", "--yes", "--json")
    assert kept.code == 2 and kept.json["errors"][0]["code"] == "share"
    assert one.relay("push", "--yes").code == 0 and not team.there("refs/heads/relay")
    one.git("config", "relay.share", "never")
    assert one.relay("push", "--yes").code == 2
    assert one.relay("push", "--share", "origin", "s").code == 0
    assert team.there("refs/heads/relay") and not one.sh("git config relay.private || true")
    one.git("config", "--unset", "relay.share")
    one.sh("git remote set-url --add --push origin /tmp/a; git remote set-url --add --push origin /tmp/b")
    two = one.relay("push", "--json")
    assert two.code == 2 and two.json["errors"][0]["code"] == "two-addresses"
    one.sh("git config --unset-all remote.origin.pushurl; git remote set-url origin ../nowhere.git")
    gone = one.relay("push", "--json")
    assert gone.code == 4 and gone.json["errors"][0]["code"] == "unreachable"


def test_a_secret_stops_the_push_unless_it_is_allowed(team: Team) -> None:
    one = team.one
    one.git("config", "relay.redact", "echo one")
    done = one.relay("push", "--yes", "--json")
    assert done.code == 1 and done.json["errors"][0]["code"] == "secret"
    assert not team.there("refs/heads/relay")
    assert one.relay("push", "--yes", "--allow-secrets").code == 0
    turn(one, "s", "true")
    assert one.relay("push").code == 0, "what is there already is no news"


def test_a_remote_that_cannot_take_it_is_named_and_gets_nothing(team: Team) -> None:
    one = team.one
    team.at("config", "receive.advertiseAtomic", "false")
    done = one.relay("push", "--yes", "--json")
    assert done.code == 4 and done.json["errors"][0]["code"] == "no-atomic"
    team.at("config", "receive.advertiseAtomic", "true")
    team.at("config", "transfer.hideRefs", "refs/relay")
    done = one.relay("push", "--yes", "--json")
    assert done.code == 4 and done.json["errors"][0]["code"] == "hidden-refs"
    assert set(team.there()) == {"refs/heads/main"}
    assert one.relay("push", "--yes", "--no-code").code == 0
    assert set(team.there()) == {"refs/heads/main", "refs/heads/relay/s"}


def test_one_session_that_a_server_refuses_does_not_hold_the_others(team: Team) -> None:
    one = team.one
    for name in ("bad", "good", "more"):
        one.git("update-ref", f"refs/heads/relay/{name}", "refs/heads/relay/s")
    hook = team.origin / "hooks/update"
    hook.write_text('#!/bin/sh\ncase $1 in */bad) echo "not here" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    done = one.relay("push", "--yes", "--json")
    assert done.code == 4
    results = {row["session"]: row["result"] for row in done.json["data"]["sessions"]}
    assert results == {"bad": "refused", "good": "new", "more": "new", "s": "new"}
    (error,) = done.json["errors"]
    assert error["code"] == "push-refused" and "not here" in error["message"]
    assert "refs/heads/relay/bad" not in team.there()


def test_a_remote_that_lost_what_it_had_is_told_and_sent_it_again_only_if_asked(team: Team) -> None:
    one = team.one
    assert one.relay("push", "--yes").code == 0
    first = one.git("rev-parse", "relay/s")
    turn(one, "s")
    assert one.relay("push").code == 0
    team.at("update-ref", "refs/heads/relay/s", first)
    done = one.relay("push", "--json")
    assert done.code == 7 and done.json["errors"][0]["code"] == "rolled-back"
    assert first[:12] in done.json["errors"][0]["message"]
    assert team.there("refs/heads/relay")["refs/heads/relay/s"] == first
    assert one.relay("push", "--again").code == 0
    assert team.there("refs/heads/relay")["refs/heads/relay/s"] == one.git("rev-parse", "relay/s")
    team.at("update-ref", "-d", "refs/heads/relay/s")
    assert one.relay("push").code == 7 and not team.there("refs/heads/relay")
    assert one.relay("push", "--again", "--yes").code == 0 and team.there("refs/heads/relay")


def test_two_clones_race_and_neither_is_lost_silently(team: Team) -> None:
    assert team.one.relay("push", "--yes").code == 0
    two = team.clone()
    two.git("fetch", "-q", "origin", "refs/heads/relay/s:refs/heads/relay/s")
    turn(team.one, "s")
    turn(two, "s", "echo other")
    turn(two, "t", "echo own")
    assert team.one.relay("push").code == 0
    there = team.there("refs/heads/relay/s")
    done = two.relay("push", "--yes", "--json")
    assert done.code == 1 and done.json["errors"][0]["code"] == "diverged"
    assert "--take s" in done.json["errors"][0]["hint"]
    assert team.there("refs/heads/relay/s") == there and "refs/heads/relay/t" in team.there()
    assert two.relay("push", "--json").code == 1


def test_two_pushes_at_once_both_arrive(team: Team) -> None:
    two = team.clone()
    for name in ("a", "b", "c"):
        two.git("fetch", "-q", str(team.one.path), f"refs/heads/relay/s:refs/heads/relay/{name}")
    both = [team.one.start("push", "--yes"), two.start("push", "--yes")]
    said = [process.communicate()[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert set(team.there("refs/heads/relay")) == {f"refs/heads/relay/{name}" for name in ("s", "a", "b", "c")}


def test_files_of_two_clones_are_joined(team: Team) -> None:
    assert team.one.relay("push", "--yes").code == 0
    two = team.clone()
    two.git("fetch", "-q", "origin", "refs/heads/relay/s:refs/heads/relay/s")  # without the files
    two.sh("echo 'print(3)' > three.py")
    turn(two, "s")
    done = two.relay("push")
    assert done.code == 0, done.err
    kept = team.at("log", "--format=%T", "refs/relay/code/s").split()
    assert set(team.one.git("log", "--format=%T", "refs/relay/code/s").split()) < set(kept)
    named = two.git("log", "--format=%(trailers:key=Relay-Tree,valueonly)", "relay/s").split()
    assert set(kept) == set(named)
    assert two.relay("fsck").code == 0


def test_a_push_that_is_killed_leaves_all_or_nothing(team: Team, mark: dict[str, str]) -> None:
    one = Repo(team.one.path, {**team.one.env, **mark})
    go, seen = one.path.parent / "go", one.path.parent / "seen"
    hook = team.origin / "hooks/pre-receive"
    hook.write_text(
        f"#!/bin/sh\ngrep -q relay/s && touch {seen} && while ! test -e {go}; do sleep 0.05; done\nexit 0\n"
    )
    hook.chmod(0o755)
    process = one.start("push", "--yes")
    assert eventually(seen.exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    go.touch()
    assert eventually(lambda: set(team.there("refs/heads/relay") | team.there("refs/relay/code")) in (set(), _BOTH))
    hook.unlink()
    done = one.relay("push", "--yes", "--json")
    assert done.code == 0 and done.json["data"]["sessions"][0]["result"] in ("new", "same")
    assert set(team.there("refs/heads/relay") | team.there("refs/relay/code")) == _BOTH
    assert one.git("rev-parse", "refs/relay/known/origin/heads/s") == one.git("rev-parse", "relay/s")


_BOTH = {"refs/heads/relay/s", "refs/relay/code/s"}


def test_a_push_whose_answer_is_lost_is_believed_by_what_is_there(team: Team) -> None:
    hook = team.origin / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nif grep -q relay/s; then kill -9 $PPID; fi\n")
    hook.chmod(0o755)
    done = team.one.relay("push", "--yes", "--json")
    assert done.code == 0, done.out
    assert done.json["data"]["sessions"][0]["result"] == "new"
    assert set(team.there("refs/heads/relay") | team.there("refs/relay/code")) == _BOTH


def test_a_person_at_a_terminal_is_asked(team: Team) -> None:
    with on_terminal(team.one, "push") as seen:
        assert seen.shows("Publish 1 session on origin?"), seen.text
        seen.type("n\r")
        assert seen.end() == 2
    assert not team.there("refs/heads/relay")
    with on_terminal(team.one, "push") as seen:
        assert seen.shows("Publish 1 session on origin?"), seen.text
        seen.type("y\r")
        assert seen.end() == 0
    assert team.there("refs/heads/relay")


def test_tab_knows_remotes_and_sessions(team: Team) -> None:
    def offered(*words: str) -> list[str]:
        return team.one.relay("completion", "--complete", "--", *words).out.split()

    assert offered("push", "o") == ["origin"] and offered("push", "origin", "s") == ["s"]
    assert offered("fetch", "origin", "--take", "s") == ["s"]


def test_over_ssh(team: Team, tmp_path: Path) -> None:
    with sshserver.serving(tmp_path / "ssh") as server:
        one = Repo(team.one.path, {**team.one.env, "GIT_SSH_COMMAND": server.command})
        one.git("remote", "set-url", "origin", server.url(team.origin))
        done = one.relay("push", "--yes")
        assert done.code == 0, done.err
        assert set(team.there("refs/heads/relay") | team.there("refs/relay/code")) == _BOTH
