"""A workspace without a past: the files of a tree, and nothing by which what came later could be found."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitrelay.git.repository import Repository
from gitrelay.state.folder import State
from gitrelay.workspace import workspace
from support.repo import Repo


def git(place: Path, repo: Repo, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=place, env=repo.env, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_it_holds_one_commit_and_no_way_back(repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repo.sh("""
        mkdir -p 'a folder'; echo one >'a folder/ünï.txt'; printf '#!/bin/sh\\n' >run; chmod +x run; ln -s run link
        printf 'secret\\n' >.gitignore; git add -A; git commit -qm before
        git config remote.origin.url https://example.invalid/x.git; git config filter.x.clean 'touch /tmp/ran'
        echo the answer >answer.txt; git add -A; git commit -qm after; git tag later; echo now >secret
    """)
    tree = repo.git("rev-parse", "HEAD~1^{tree}")
    monkeypatch.chdir(repo.path)
    found = Repository.open(repo.path)
    state = State(found.common_dir)
    made = workspace.make(found, state, "replay-x", at=tree, alone=True)
    place = made.path
    assert not made.left_out
    assert not place.is_relative_to(repo.path) and os.stat(place.parents[1]).st_mode & 0o777 == 0o700
    assert git(place, repo, "write-tree") == tree and git(place, repo, "status", "--porcelain") == ""
    assert (place / "a folder/ünï.txt").read_text() == "one\n" and os.access(place / "run", os.X_OK)
    assert os.readlink(place / "link") == "run" and not (place / "secret").exists()
    assert git(place, repo, "log", "--all", "--format=%an %s %P") == "nobody The files."
    assert git(place, repo, "remote") == "" and "example" not in (place / ".git/config").read_text()
    every = git(place, repo, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").splitlines()
    named = [line[:40] for line in git(place, repo, "rev-list", "--objects", "HEAD").splitlines()]
    assert sorted(every) == sorted(named) and repo.git("rev-parse", "HEAD:answer.txt") not in every
    assert git(place, repo, "fsck", "--strict") == ""
    # the same files give the same commit: nothing tells one run from another
    head = git(place, repo, "rev-parse", "HEAD")
    workspace.remove(found, state, "replay-x")
    assert not place.exists() and repo.git("for-each-ref", "refs/relay") == ""
    again = workspace.make(found, state, "replay-y", at=tree, alone=True)
    assert git(again.path, repo, "rev-parse", "HEAD") == head
    workspace.remove(found, state, "replay-y")
