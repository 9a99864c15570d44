"""A peer that is started in a folder of the tree: `--cwd`, from where the caller is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.repo import GIT_RELAY, Repo

SHELL = ("req", "--to", "shell")


@pytest.fixture
def tree(repo: Repo) -> Repo:
    repo.sh("mkdir -p a/b .git/x out; echo in > a/b/in.txt; echo out/ > .gitignore; ln -s / root; ln -s a/b link")
    repo.sh("git add a .gitignore && git commit -qm more")
    return repo


def test_from_where_the_caller_is(tree: Repo) -> None:
    top, below = tree.path, tree.path / "a"
    pwd = ("--session", "s", "pwd -P; cat in.txt")
    assert str(top) in tree.relay(*SHELL, "--session", "top", "pwd -P", cwd=below).out
    done = tree.relay(*SHELL, "--cwd", "b", "--check", "test -e a/b/in.txt", *pwd, cwd=below)
    assert done.code == 0 and f"{top}/a/b\nin\n" in done.out, done.err
    assert "The peer is started in a/b/." in tree.git("log", "--format=%B", "relay/s")
    assert f"{top}/a/b\nin\n" in tree.relay(*SHELL, "--cwd", str(top / "link"), *pwd).out
    isolated = tree.relay(*SHELL, "--isolate", "--cwd", "a/b", "--session", "i", "pwd -P; cat in.txt; echo x > new")
    assert isolated.code == 0 and "/a/b\nin\n" in isolated.out and f"{top}/a/b" not in isolated.out
    assert not (below / "b/new").exists() and "a/b/new" in tree.relay("diff", "i/01", "--stat").out
    assert tree.relay("fsck").code == 0
    assert f"{top}\n" in tree.relay(*SHELL, "--cwd", "..", "--session", "s", "pwd -P", cwd=below).out


@pytest.mark.parametrize(
    "word",
    ["", "nowhere", "a/b/in.txt", "..", "/", "root", ".git", ".git/x", "a/../..", "\u202e", "b\x1b[31m", "x" * 100_000],
)
def test_what_is_no_folder_of_the_tree(tree: Repo, word: str) -> None:
    done = tree.relay(*SHELL, "--cwd", word, "true")
    assert done.code == 2 and done.raw == b"" and len(done.err) < 600, done.err
    assert done.err.startswith("git-relay: --cwd '") and done.err.count("\n") == 1 and "; " in done.err
    assert "relay/" not in tree.git("for-each-ref")


def test_a_name_that_is_no_text_and_one_that_is_not_copied(tree: Repo) -> None:
    os.mkdir(os.fsencode(tree.path) + b"/a\xff")
    words = [*map(os.fsencode, GIT_RELAY), b"req", b"--to", b"shell", b"--cwd", b"a\xff", b"true"]
    done = subprocess.run(words, cwd=tree.path, env=dict(tree.env), capture_output=True, timeout=60)
    assert done.returncode == 2 and b"--cwd" in done.stderr and b"Traceback" not in done.stderr
    gone = tree.relay(*SHELL, "--isolate", "--cwd", "out", "true")
    assert gone.code == 2 and "--cwd 'out' is not in the copy of your tree" in gone.err and "--shared" in gone.err
    assert "relay/" not in tree.git("for-each-ref")


def test_a_peer_is_told_where_the_messages_are(tree: Repo, tmp_path: Path) -> None:
    tree.git("config", "relay.say.command", "cat")
    tree.git("config", "relay.say.plain", "true")
    done = tree.relay("req", "--to", "say", "--cwd", "a", "--session", "s", "hello")
    assert f"You are in {tree.path}/a; paths that begin with .relay/ are below {tree.path}." in done.out
