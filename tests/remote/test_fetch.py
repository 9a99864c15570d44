"""`git relay fetch`: what becomes part of a clone, what does not, and how a session goes on that two have continued."""

from __future__ import annotations

import os

import pytest

from gitrelay.protocol import names
from support.repo import Repo
from support.team import Team, made, turn
from support.waiting import eventually, processes_with


@pytest.fixture
def team(answered: Repo) -> Team:
    team = made(answered)
    assert team.one.relay("push", "--yes").code == 0
    return team


def results(repo: Repo, *words: str, code: int = 0) -> dict[str, str]:
    done = repo.relay("fetch", *words, "--json")
    assert done.code == code, done.out
    return {row["session"]: row["result"] for row in done.json["data"]["sessions"]}


def test_the_names_of_sessions_that_are_kept() -> None:
    long = "a" * 64
    for session in ("s", "20261121-0612-auth", long):
        for again in (1, 2, 12):
            kept = names.kept_name(session, again)
            assert names.is_session(kept) and names.is_kept(kept, session)
    assert not names.is_kept("s-mine", "t") and not names.is_kept("s", "s") and not names.is_kept("sa-mine", "s")
    assert names.is_address("20261121-0612-auth-mine/20261121-0612-auth")
    assert not names.is_address("s/20261121-0612-auth")


def test_sessions_come_with_their_files_and_go_on(team: Team) -> None:
    two = team.clone()
    assert results(two) == {"s": "new"}
    assert two.git("rev-parse", "relay/s") == team.one.git("rev-parse", "relay/s")
    assert two.relay("diff", "s/01").code == 0 and two.relay("fsck").code == 0
    assert results(two) == {"s": "same"}
    turn(two, "s")
    assert (two.path / ".relay/s").is_dir()
    assert two.relay("push").code == 0
    assert results(team.one) == {"s": "updated"}
    turn(team.one, "s")
    assert team.one.relay("archive", "s").code == 0
    assert team.one.relay("push").code == 0
    assert results(two, "origin", "s") == {"s": "updated"}
    assert sorted(p.name for p in (two.path / ".relay/s").glob("*.md"))[-1] == "03.res.md"
    assert not two.git("status", "--porcelain", "--ignored=no") and not two.git(
        "-C", ".relay/s", "status", "--porcelain"
    )
    assert two.relay("fsck").code == 0
    three = team.clone("three")
    assert results(three) == {"s": "new"}
    assert three.git("rev-parse", "refs/relay/archive/s") == team.one.git("rev-parse", "refs/relay/archive/s")
    assert not (three.path / ".git/FETCH_HEAD").exists()
    unknown = three.relay("fetch", "origin", "nothing", "--json")
    assert unknown.code == 2 and unknown.json["errors"][0]["code"] == "unknown-session"


def test_a_session_that_two_continued_is_taken_and_ours_is_kept_whole(team: Team) -> None:
    two = team.clone()
    assert results(two) == {"s": "new"}
    turn(team.one, "s", "echo theirs")
    two.sh("echo 'print(9)' > nine.py")
    turn(two, "s", "echo ours")
    assert team.one.relay("push").code == 0
    ours, theirs = two.git("rev-parse", "relay/s"), team.one.git("rev-parse", "relay/s")
    assert results(two, code=1) == {"s": "diverged"}
    assert two.git("rev-parse", "relay/s") == ours
    done = two.relay("fetch", "--take", "s")
    assert done.code == 0, done.err
    assert "s-mine/02" in done.err
    assert (two.git("rev-parse", "relay/s"), two.git("rev-parse", "relay/s-mine")) == (theirs, ours)
    assert "theirs" in two.relay("show", "s/02", "--res").out and "ours" in two.relay("show", "s-mine/02", "--res").out
    assert "+print(9)" in two.git("show", "refs/relay/code/s-mine:nine.py") or two.relay("diff", "s-mine/02").code == 0
    fsck = two.relay("fsck")
    assert fsck.code == 0, fsck.out
    turn(two, "s")
    turn(two, "s-mine")
    assert two.relay("push", "--yes").code == 0
    assert results(team.one) == {"s": "updated", "s-mine": "new"}
    assert team.one.relay("fsck").code == 0


def test_a_one_shot_of_the_same_name_in_two_clones(team: Team) -> None:
    two, name = team.clone(), "20261121-0612-auth"
    for repo in (team.one, two):
        turn(repo, name, f"echo {repo.path.name}")
    assert team.one.relay("push", "--yes").code == 0
    done = two.relay("fetch", "origin", "--take", name)
    assert done.code == 0, done.err
    assert "two" in two.relay("show", f"{name}-mine").out
    assert two.relay("fsck").code == 0


def test_a_remote_that_moves_back_or_rewrites_changes_nothing_here(team: Team) -> None:
    two = team.clone()
    assert results(two) == {"s": "new"}
    first = team.one.git("rev-parse", "relay/s")
    turn(team.one, "s")
    assert team.one.relay("push").code == 0
    assert results(two) == {"s": "updated"}
    before = two.git("rev-parse", "relay/s")
    team.at("update-ref", "refs/heads/relay/s", first)
    done = two.relay("fetch", "--json")
    assert done.code == 7
    (error,) = done.json["errors"]
    assert error["code"] == "rolled-back" and "refs/relay/known/origin/heads/s" in error["message"]
    assert two.git("rev-parse", "relay/s") == before == two.git("rev-parse", "refs/relay/known/origin/heads/s")
    three = team.clone("three")
    assert results(three) == {"s": "new"}
    turn(three, "s", "echo another history")
    assert three.relay("push").code == 0
    assert results(two, code=7) == {"s": "rewritten"}
    assert two.git("rev-parse", "relay/s") == before
    assert results(two, "--take", "s") == {"s": "taken"}
    assert two.git("rev-parse", "relay/s-mine") == before
    assert results(two) == {"s": "same"}


def _forge(team: Team, session: str, script: str) -> None:
    """A session at origin that goes on from `s` with a commit of the tree that `script` prints."""
    words = 'git commit-tree $tree -p refs/heads/relay/s -m "$(git log -1 --format=%B refs/heads/relay/s)"'
    team.one.sh(f"cd {team.origin}; tree=$({script}); git update-ref refs/heads/relay/{session} $({words})")


def test_what_a_hostile_remote_sends_stays_outside(team: Team) -> None:
    two = team.clone()
    blob = "$(echo /etc/passwd | git hash-object -w --stdin)"
    _forge(
        team,
        "link",
        f"{{ git ls-tree refs/heads/relay/s; printf '120000 blob %s\\t02.req.md\\n' {blob}; }} | git mktree",
    )
    _forge(team, "dotgit", f"printf '100644 blob %s\\t.git\\n' {blob} | git mktree")
    _forge(team, "strange", f"printf '100755 blob %s\\trun.sh\\n' {blob} | git mktree")
    _forge(team, "not_a-slug", f"printf '100755 blob %s\\trun.sh\\n' {blob} | git mktree")
    team.at("update-ref", "refs/heads/relay/mine", "refs/heads/main")  # somebody's own branch
    team.at("update-ref", "refs/relay/code/s", "refs/heads/main")  # no session names this
    done = two.relay("fetch", "--json")
    assert done.code == 7
    rows = {row["session"]: row["result"] for row in done.json["data"]["sessions"]}
    assert rows == {"s": "new", "link": "refused", "dotgit": "refused", "strange": "refused"}
    assert {e["code"] for e in done.json["errors"]} == {"session-refused"}
    assert (
        two.git("for-each-ref", "--format=%(refname)", "refs/heads/relay", "refs/relay/archive") == "refs/heads/relay/s"
    )
    assert two.relay("fsck").code == 0
    assert two.relay("ls", "--json").json["data"][0]["session"] == "s"


def test_a_fetch_that_is_killed_changes_nothing_and_leaves_nothing_for_long(team: Team, mark: dict[str, str]) -> None:
    two = team.clone()
    two = Repo(two.path, {**two.env, **mark})
    seen = two.path.parent / "seen"
    slow = two.path.parent / "slow"
    first = f'mkdir {seen}-first 2>/dev/null && exec git-upload-pack "$@"'  # it asks for the list of finished sessions
    slow.write_text(f"#!/bin/sh\n{first}\ntouch {seen}\nsleep 600\n")
    slow.chmod(0o755)
    two.git("config", "remote.origin.uploadpack", str(slow))
    process = two.start("fetch")
    assert eventually(seen.exists)
    for one in processes_with(*next(iter(mark.items()))):
        one.kill()
    process.communicate()
    (left,) = (two.path / ".git/relay").glob("git-relay-witness-*")
    os.utime(left, (0, 0))
    two.git("config", "--unset", "remote.origin.uploadpack")
    assert not two.git("for-each-ref", "refs/heads/relay", "refs/relay")
    assert results(two) == {"s": "new"}
    assert not left.exists()


def test_a_call_that_runs_is_not_overtaken(team: Team, mark: dict[str, str]) -> None:
    two = team.clone()
    two = Repo(two.path, {**two.env, **mark})
    assert results(two) == {"s": "new"}
    turn(team.one, "s")
    assert team.one.relay("push").code == 0
    assert two.relay("req", "--to", "shell", "--session", "s", "-d", "sleep 600").code == 0
    done = two.relay("fetch", "--take", "s", "--json")
    assert done.code == 6 and done.json["data"]["sessions"][0]["result"] == "refused"
    assert two.relay("cancel", "s/02").code == 0
    assert results(two, "--take", "s") == {"s": "taken"}
