"""A commit that is written as a pack is byte for byte the one that git's own commands make."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gitrelay.errors import RelayError
from gitrelay.git import pack
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import Identity
from support.repo import Repo

AUTHOR = Identity("codex", "codex@gitrelay.invalid")


@pytest.fixture
def inside(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    for name, value in repo.env.items():
        monkeypatch.setenv(name, value)
    return repo


def commit(path: Path, new: list[bytes], message: str = "subject\n\nKey: value\n") -> tuple[Repository, str]:
    """A commit on HEAD with one file for each of `new`."""
    found = Repository.open(path)
    entries = [TreeEntry(FILE_MODE, f"{i:02d}.md", found.object_id("blob", data)) for i, data in enumerate(new)]
    parent = found.ref("HEAD")
    return found, pack.commit_files(found, entries, new, [parent] if parent else [], message, AUTHOR)


def again(repo: Repo, oid: str) -> str:
    """The id of the same commit, made by git's own commands."""
    when, who, mail = repo.git("log", "-1", "--date=raw", "--format=%ad%x00%cn%x00%ce", oid).split("\0")
    return repo.sh(
        f"""
        export GIT_AUTHOR_NAME=codex GIT_AUTHOR_EMAIL=codex@gitrelay.invalid GIT_AUTHOR_DATE='{when}'
        export GIT_COMMITTER_NAME='{who}' GIT_COMMITTER_EMAIL='{mail}' GIT_COMMITTER_DATE='{when}'
        tree=$(git ls-tree {oid} | git mktree)
        git log -1 --format=%B {oid} | sed '$d' |
            git commit-tree $(git log -1 --format=%P {oid} | sed 's/^./-p &/') -F - $tree
        """
    ).strip()


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "XYZ+3:30"])
@pytest.mark.parametrize("format_", ["sha1", "sha256"])
def test_it_is_the_commit_that_git_makes(
    inside: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zone: str, format_: str
) -> None:
    repo = Repo(tmp_path / "other", inside.env)
    repo.path.mkdir()
    repo.sh(f"git init -q --object-format={format_}; git commit -q --allow-empty -m first")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        _, oid = commit(repo.path, [b"", b"one\n", "zwei \u00fc\n".encode() * 5000])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert again(repo, oid) == oid
    repo.git("fsck", "--strict")


@pytest.mark.parametrize("name", ["Ada", " Ada. ", "A <b>", "\u00dcma \u200b", "Ada, Dr."])
def test_a_committer_that_git_cleans_is_cleaned_by_git(
    inside: Repo, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", name)
    _, oid = commit(inside.path, [b"x"])
    assert again(inside, oid) == oid and inside.git("cat-file", "-p", f"{oid}:00.md") == "x"


def test_a_file_of_the_parents_that_is_gone_is_named(inside: Repo) -> None:
    found = Repository.open(inside.path)
    entries = [TreeEntry(FILE_MODE, "01.md", "1" * 40), TreeEntry(FILE_MODE, "02.md", found.object_id("blob", b"x"))]
    with pytest.raises(RelayError, match="1" * 40):
        pack.commit_files(found, entries, [b"x"], [], "subject\n", AUTHOR)
