"""`.git/relay` on odd file systems, behind links, shared with others, and beside fetches and `git gc`."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from gitrelay.process.values import Limits
from gitrelay.state.calls import Call
from support.ledgercheck import assert_valid
from support.repo import Repo


def preloaded(tmp_path: Path, body: str) -> dict[str, str]:
    """An environment in which flock(2) does what `body` says."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc makes the library that stands for such a file system")
    (tmp_path / "flock.c").write_text(f"#include <errno.h>\nint flock(int fd, int how) {{ {body} }}\n")
    library = tmp_path / "flock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "flock.c"], check=True)
    return {"LD_PRELOAD": str(library)}


@pytest.mark.parametrize("number", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_locks(repo: Repo, tmp_path: Path, number: str) -> None:
    env = preloaded(tmp_path, f"errno = {number}; return -1;")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true", env=env)
    assert done.code == 4 and "has no flock" in done.err and len(done.err.splitlines()) == 1, (done.code, done.err)
    assert repo.git("for-each-ref", "refs/heads/relay") == ""
    assert repo.relay("status", env=env).code == 0


def test_a_file_system_that_grants_every_lock(repo: Repo, tmp_path: Path) -> None:
    """A call ends as ever, although its `alive` seems free all the time; doctor names the file system."""
    env = preloaded(tmp_path, "return 0;")
    task = "while [ ! -e ../go ]; do sleep 0.1; done; echo well"
    assert repo.relay("req", "--to", "shell", "--session", "s", "-d", task, env=env).code == 0
    assert [row["address"] for row in repo.relay("status", "--json", env=env).json["data"]] == ["s/01"]
    (repo.path.parent / "go").touch()
    done = repo.relay("wait", "s/01", env=env)
    assert done.code == 0 and "\nwell\n" in done.out, (done.code, done.out, done.err)
    assert "grants a lock twice" in repo.relay("doctor", env=env).out
    assert "grants a lock twice" not in repo.relay("doctor").out
    assert_valid(repo, "s")


@pytest.mark.parametrize("name", ["", "calls", "logs", "locks"])
def test_nothing_is_deleted_behind_a_link(repo: Repo, name: str) -> None:
    """Neither at once, nor by looks, nor by the end of a call; what stands there is not taken for a call."""
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    precious = repo.path.parent / "precious"
    for folder in ("thesis", "calls/x", "logs"):
        (precious / folder).mkdir(parents=True)
        (precious / folder / "text").write_text("years of work")
    for number in range(250):
        (precious / f"{number}.out").write_text("old")
    before = sorted(str(path) for path in precious.rglob("*"))
    target = repo.path / ".git/relay" / name
    shutil.rmtree(target)
    target.symlink_to(precious)
    for verb in (["status"], ["show", "s"], ["close", "s"], ["req", "--to", "shell", "--session", "s", "true"]):
        done = repo.relay(*verb)
        assert done.code in (0, 4), (verb, done.code, done.err)
        assert "Traceback" not in done.err
    assert sorted(str(path) for path in precious.rglob("*")) == before


def test_a_link_that_a_peer_makes_loses_no_answer(repo: Repo) -> None:
    task = "mkdir ../precious; touch ../precious/a; mv .git/relay .git/old; ln -s ../../precious .git/relay; echo well"
    done = repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", task)
    assert "\nwell\n" in repo.git("show", "relay/s:01.res.md"), (done.code, done.err)
    assert [path.name for path in (repo.path.parent / "precious").iterdir()] == ["a"]


@pytest.mark.parametrize(("value", "bits"), [("group", 0o070), ("all", 0o075), ("0660", 0o070)])
def test_the_folder_is_shared_as_the_repository_is(repo: Repo, value: str, bits: int) -> None:
    repo.git("config", "core.sharedRepository", value)
    repo.sh(f"umask 022; '{shutil.which('true')}'")
    before = os.umask(0o022)
    try:
        assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
        assert repo.relay("req", "--to", "codex", "--session", "t", "--no-invoke", "look").code == 0
    finally:
        os.umask(before)
    root = repo.path / ".git/relay"
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        mode = folder.stat().st_mode
        assert mode & 0o077 & bits == bits and mode & stat.S_ISGID, (folder, oct(mode))


def test_without_it_the_folder_is_the_users_own(repo: Repo) -> None:
    before = os.umask(0o022)
    try:
        assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    finally:
        os.umask(before)
    assert not (repo.path / ".git/relay").stat().st_mode & 0o022


@pytest.mark.parametrize(
    ("settings", "named", "deletes"),
    [
        ("remote.origin.fetch +refs/*:refs/*; git config fetch.prune true", True, True),
        ("remote.origin.fetch +refs/heads/*:refs/heads/*; git config remote.origin.prune true", True, True),
        ("remote.origin.fetch '+refs/heads/relay/*:refs/heads/relay/*'; git config fetch.prune true", True, True),
        ("remote.origin.fetch +refs/*:refs/*", True, False),
        ("remote.origin.fetch +refs/heads/*:refs/remotes/origin/*; git config fetch.prune true", False, False),
    ],
)
def test_a_fetch_that_would_delete_sessions_is_named(repo: Repo, settings: str, named: bool, deletes: bool) -> None:
    """By doctor, with what sets it right; by `req` once, if a plain fetch does it."""
    repo.sh(f"git clone -q --bare . ../o.git; git remote add origin ../o.git; git config --replace-all {settings}")
    first, second = (repo.relay("req", "--to", "shell", "--session", "s", "true") for _ in range(2))
    assert (first.code, second.code) == (0, 0), (first.err, second.err)
    assert ("deletes sessions" in first.err) is deletes and "deletes sessions" not in second.err
    rows = repo.relay("doctor").out
    assert ("deletes sessions" in rows) is named, rows
    if deletes:
        repo.git("config", "remote.origin.prune", "false")
        assert "that it does not have" not in repo.relay("doctor").out


@pytest.mark.parametrize("moment", ["update-ref", "unpack-objects"])
def test_objects_that_a_gc_takes_are_written_again(repo: Repo, moment: str) -> None:
    """A git that lets `git prune` run at the worst moment: before what was written is named by a ref."""
    real = shutil.which("git", path=repo.env["PATH"])
    folder = repo.path.parent / "bin"
    folder.mkdir()
    wrapper = folder / "git"
    wrapper.write_text(
        f"#!/bin/sh\ncase \" $* \" in *' {moment} '*) [ -e '{folder}/on' ] && "
        f"'{real}' -C '{repo.path}' prune --expire=now 2>/dev/null && rm -f '{folder}/on';; esac\n"
        f"exec '{real}' \"$@\"\n"
    )
    wrapper.chmod(0o755)
    (repo.path / "changed.txt").write_text("not committed")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    (repo.path / "changed.txt").write_text("again")
    (folder / "on").touch()
    env = {"GIT_PYTHON_GIT_EXECUTABLE": str(wrapper)}
    done = repo.relay("req", "--to", "shell", "--session", "s", "echo well", env=env)
    assert done.code == 0 and "\nwell\n" in done.out, (done.code, done.err)
    assert not (folder / "on").exists()
    assert_valid(repo, "s")
    repo.git("fsck", "--connectivity-only")


def test_a_call_that_is_none_is_no_matter_of_others(repo: Repo) -> None:
    """What is in call.json may be anything: a look puts it away, and other sessions are listed."""
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    good = Call("x", "01", "uma", "shell", "/", "read", 1.0, Limits(wall=3.0), checks=("true",)).to_json()
    odd: list[object] = [None, [], {}, "x", -5, True]
    broken = [{**good, key: value} for key in good for value in odd if {**good, key: value} != good]
    calls = repo.path / ".git/relay/calls"
    for number, value in enumerate(broken):
        (calls / f"x{number}").mkdir()
        (calls / f"x{number}/call.json").write_text(json.dumps(value))
        Call.from_json(value)
    for verb in ("status", "ls", "watch --plain --timeout 1s"):
        done = repo.relay(*verb.split())
        assert done.code == 0, (verb, done.err)
    assert list(calls.iterdir()) == []


def test_one_session_that_cannot_be_recorded_is_named(repo: Repo) -> None:
    """Its request is gone from the repository; others are shown, waited for and asked."""
    assert repo.relay("req", "--to", "shell", "--session", "good", "true").code == 0
    call = Call("bad", "01", "uma", "shell", str(repo.path), "read", 1.0, Limits(), request_commit="1" * 40)
    folder = repo.path / ".git/relay/calls/bad"
    folder.mkdir()
    (folder / "call.json").write_text(json.dumps(call.to_json()))
    (folder / "alive").touch()
    done = repo.relay("status")
    assert done.code == 0 and "bad: the request of bad/01 is gone" in done.err, (done.code, done.err)
    for verb in ("show good/01", "wait good/01", "watch --plain --timeout 1s", "req --to shell --session good true"):
        assert repo.relay(*verb.split()).code == 0, verb
