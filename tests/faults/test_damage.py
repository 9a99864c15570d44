"""The disk fills, .git becomes read-only, a worktree goes, an object is damaged, a git dies, the clock moves back.

After each: one line that says what is wrong and what to do, never a traceback; nothing recorded is lost; other
sessions work, and so does the damaged one once it is mended. The ways to damage an object are spread over the objects;
GITRELAY_SOAK=1 tries each with each, and a clock that is an hour slow.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.ledgercheck import assert_all_valid, assert_valid
from support.mounts import mount_read_only
from support.places import INJECT
from support.repo import Done, Repo, copy_of
from support.soak import covering, rounds
from support.waiting import eventually

ASK = ("req", "--from", "uma", "--to", "shell")


@pytest.fixture(scope="session")
def template(one_turn: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = copy_of(one_turn, tmp_path_factory.mktemp("two") / "repo", one_turn.env)
    for session, task in (("s", "echo two"), ("other", "echo other")):
        assert made.relay(*ASK, "--session", session, task).code == 0
    return made


@pytest.fixture
def two(template: Repo, tmp_path: Path, env: dict[str, str]) -> Repo:
    """A session of two turns, and another that nothing happens to."""
    return copy_of(template, tmp_path / "repo", env)


def object_file(repo: Repo, name: str) -> Path:
    oid = repo.git("rev-parse", name)
    path = repo.path / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    return path


def assert_one_line(done: Done, *codes: int) -> None:
    assert done.code in codes, done.err
    assert done.err.count("\n") == 1 and "Traceback" not in done.err, done.err
    assert "; " in done.err, "what is to be done?"


COMMANDS = {
    "show": ("show", "s"),
    "log": ("log", "s"),
    "ls": ("ls",),
    "wait": ("wait", "s/02"),
    "diff": ("diff", "s/02"),
    "req": (*ASK, "--session", "s", "echo more"),
}
# what is damaged -> the commands that need it
NEEDED = {
    "relay/s": set(COMMANDS),
    "relay/s^{tree}": {"show", "wait", "req"},
    "relay/s:02.res.md": {"show", "wait"},
    "relay/s:01.req.md": {"show"},
    "relay/s~2": {"show", "log", "wait", "diff"},
}


@pytest.mark.parametrize(("what", "how"), covering([*NEEDED], ["truncated", "zeroed", "removed"]))
def test_a_damaged_object(two: Repo, what: str, how: str) -> None:
    path = object_file(two, what)
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[:10])
    elif how == "zeroed":
        path.write_bytes(bytes(len(whole)))
    else:
        path.unlink()
    for name, words in COMMANDS.items():
        done = two.relay(*words)
        if name in NEEDED[what]:
            assert_one_line(done, 7)
        else:
            assert done.code in (0, 7), f"{name}: {done.err}"
    assert "other" in two.relay("show", "other").out
    assert two.relay(*ASK, "--session", "other", "echo more").code == 0
    path.write_bytes(whole)
    assert two.relay(*ASK, "--session", "s", "echo mended").code == 0
    assert_all_valid(two)


@pytest.mark.parametrize("name", ["refs/heads/relay/s.lock", "worktrees/s/index.lock"])
def test_the_lock_file_of_a_git_that_was_killed(two: Repo, name: str) -> None:
    lock = two.path / ".git" / name
    lock.touch()
    done = two.relay(*ASK, "--session", "s", "echo more")
    if done.code != 0:
        assert_one_line(done, 6)
        assert str(lock) in done.err and "remove that file" in done.err
    lock.unlink(missing_ok=True)
    two.relay("wait", "s/03", "--timeout", "30s")
    assert two.relay(*ASK, "--session", "s", "echo again").code == 0
    assert_all_valid(two)


def test_git_becomes_read_only_before_the_response(two: Repo) -> None:
    """What the peer said is kept and recorded once .git can be written, or its loss is recorded."""
    objects = two.path / ".git/objects"
    task = "touch begun; until test -e go; do sleep 0.05; done; echo paid"
    assert two.relay(*ASK, "--session", "s", "-d", task).code == 0
    assert eventually((two.path / "begun").exists)
    if not mount_read_only(objects):
        (two.path / "go").touch()
        pytest.skip("no rights to mount: no way to make .git read-only here")
    try:
        (two.path / "go").touch()
        assert_one_line(two.relay("wait", "s/03"), 4)
    finally:
        subprocess.run(["umount", objects], check=True, timeout=20)
    late = two.relay("wait", "s/03", "--timeout", "30s")
    assert late.code == 0 and "paid" in late.out, late.err
    assert_all_valid(two)


def test_the_worktree_goes_between_request_and_response(two: Repo) -> None:
    assert two.relay(*ASK, "--session", "s", "rm -rf .relay/s; echo done").code == 0
    assert_valid(two, "s")
    two.sh("rm -rf .relay")
    assert two.relay(*ASK, "--session", "s", "echo more").code == 0
    assert len(assert_valid(two, "s")) == 4


@pytest.mark.parametrize("hours", [365 * 24, 1][: rounds(1, 2)])
def test_the_clock_moves_back(two: Repo, hours: int) -> None:
    """gitrelay's clock, not git's: under libfaketime python's own time.sleep fails with EINVAL."""
    past = {"PYTHONPATH": str(INJECT), "FAULT_CLOCK": str(-3600 * hours)}
    assert two.relay(*ASK, "--session", "s", "-d", "until test -e go; do sleep 0.05; done").code == 0
    status = two.relay("status", "--json", env=past)
    assert [row["address"] for row in status.json["data"]] == ["s/03"], status.err
    assert two.relay("status", env=past).code == 0
    assert two.relay("wait", "s/03", "--timeout", "100ms", env=past).code == 8
    (two.path / "go").touch()
    assert two.relay("wait", "s/03", env=past).code == 0
    assert two.relay(*ASK, "--session", "s", "echo earlier", env=past).code == 0
    late = two.relay(*ASK, "--session", "s", "--timeout", "300ms", "sleep 60", env=past)
    assert late.code == 5, late.err
    for _ in range(2):
        assert two.relay(*ASK, "--name", "once", "true", env=past).code == 0
    assert two.relay("ls", env=past).code == 0 and two.relay("ls").code == 0
    assert two.relay(*ASK, "--session", "s", "echo now").code == 0
    assert_all_valid(two)


def test_a_disk_that_fills_during_a_check(repo: Repo, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, timeout=20).returncode:
        pytest.skip("no rights to mount a small tmpfs: no way to fill a disk here")
    try:
        small = Repo(disk, repo.env)
        small.sh("git init -q --template=; git commit -q --allow-empty -m first")
        fills = "head -c 9000000 /dev/zero > filler 2>/dev/null"
        done = small.relay(*ASK, "--session", "s", "--check", fills, "echo paid")
        assert done.code != 70 and "Traceback" not in done.err, done.err
        assert "paid" in small.relay("show", "s").out
        small.sh("rm -f filler")
        late = small.relay("wait", "s/01", "--timeout", "30s")
        assert late.code == 1 and "paid" in late.out, late.err
        assert small.relay(*ASK, "--session", "s", "echo next").code == 0
        assert_all_valid(small)
    finally:
        subprocess.run(["umount", "-l", disk], check=True, timeout=20)
