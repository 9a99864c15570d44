"""The session's worktree is a copy: what happens to it, or stands in its place, costs no answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.ledgercheck import assert_valid
from support.repo import Repo
from support.soak import SOAK


@pytest.mark.parametrize(
    "trick",
    [
        "mv .relay .old; ln -s ../elsewhere .relay",
        "mv .relay .old; ln -s nowhere .relay",
        "rm -r .relay; echo mine >.relay",
        "rm -r .relay/s; mkdir .relay/s; echo thesis >.relay/s/thesis.tex",
    ],
)
def test_an_answer_without_a_worktree(repo: Repo, trick: str) -> None:
    """It is on the branch, says why it has no worktree, and every other session works on.

    After the first trick every reading verb is tried, after each under GITRELAY_SOAK=1.
    """
    assert repo.relay("req", "--to", "shell", "--session", "other", "true").code == 0
    repo.sh("mkdir -p ../elsewhere/s; echo precious >../elsewhere/s/01.res.md")
    done = repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", f"{trick}; echo well")
    assert done.code == 0 and "\nwell\n" in done.out, (done.code, done.err)
    assert "has no worktree now" in repo.git("log", "-1", "--format=%B", "relay/s")
    verbs = ("status", "show other", "wait s/01", "log", "watch --plain --timeout 1s")
    for words in verbs if "elsewhere" in trick or SOAK else verbs[:1]:
        assert repo.relay(*words.split()).code == 0, words
    assert (repo.path.parent / "elsewhere/s/01.res.md").read_text() == "precious\n"
    refused = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert refused.code == 2 and ".relay" in refused.err, refused.err
    repo.sh("rm -rf .relay .old")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert_valid(repo, "s")


def lock_of(repo: Repo) -> Path:
    return repo.path / ".git/worktrees/s/index.lock"


@pytest.mark.parametrize("age", [3600, 0])
def test_a_lock_that_a_killed_git_left(repo: Repo, age: int) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    lock_of(repo).touch()
    moment = lock_of(repo).stat().st_mtime - age
    os.utime(lock_of(repo), (moment, moment))
    done = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 0, done.err
    assert not lock_of(repo).exists()
    assert repo.git("-C", ".relay/s", "status", "--porcelain") == ""


def test_a_lock_of_a_git_that_lives_is_left(repo: Repo) -> None:
    """The exchange is recorded all the same; the worktree is brought up to date at the next turn."""
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    with lock_of(repo).open("w") as held:
        os.utime(lock_of(repo), (1, 1))
        done = repo.relay("req", "--to", "shell", "--session", "s", "true")
        assert done.code == 0 and "is behind its branch" in done.err, (done.code, done.err)
        assert lock_of(repo).exists() and not held.closed
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert repo.git("-C", ".relay/s", "status", "--porcelain") == ""
    assert_valid(repo, "s")


def test_the_users_own_lock_is_no_obstacle(repo: Repo) -> None:
    (repo.path / ".git/index.lock").touch()
    (repo.path / ".git/config.lock").touch()
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert (repo.path / ".git/index.lock").exists()


def test_the_worktree_of_a_copy_is_its_own(repo: Repo) -> None:
    """A turn in the copy takes nothing from the original, although git lists its worktree there."""
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    copy = repo.path.parent / "copy"
    subprocess.run(["cp", "-a", str(repo.path), str(copy)], check=True)
    assert repo.relay("req", "--to", "shell", "--session", "s", "true", cwd=copy).code == 0
    assert repo.relay("close", "s", cwd=copy).code == 0
    assert sorted(path.name for path in (repo.path / ".relay/s").iterdir()) == [".git", "01.req.md", "01.res.md"]
    assert_valid(repo, "s")
