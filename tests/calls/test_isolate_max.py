"""`relay.isolateMax`: above which number, or size, of tracked files a call shares the tree, and how that is said."""

from __future__ import annotations

import pytest

from gitrelay.calls import size
from gitrelay.calls.size import Limit
from gitrelay.errors import UsageError
from gitrelay.git.repository import Repository
from gitrelay.workspace import index
from support.repo import Repo

ASKED = ("req", "--from", "uma", "--to", "q", "--access", "read")


def workspace_of(repo: Repo, session: str) -> str:
    return repo.git("log", "-1", "--format=%(trailers:key=Relay-Workspace,valueonly)", f"relay/{session}").strip()


def test_the_index_says_how_much_there_is(repo: Repo) -> None:
    """In every form that an index has; what is damaged says less, and nothing fails."""
    repo.sh("mkdir -p d/e; printf 1234567 > d/e/seven; printf 12345 > d/five; : > empty; ln -s five d/link; git add .")
    git = Repository.open(repo.path)
    counted = (5, len("print(1)\n") + 7 + 5 + 0 + 4)
    for words in ("true", "git update-index --index-version 4", "git add -N d/five; echo n > new; git add -N new"):
        repo.sh(words)
        count, there = index.extent(git.index.read_bytes(), "sha1")
        assert (count - words.count("add -N new"), there) == counted
    data = git.index.read_bytes()
    for cut in (0, 4, 11, 12, 40, 80, len(data) - 30):
        assert index.extent(data[:cut], "sha1")[1] <= counted[1]
    assert index.extent(b"\xff" * 100, "sha1") == (0, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", Limit(7, size.MAX_BYTES)),
        ("2GB", Limit(size.MAX_FILES, 2_000_000_000)),
        ("10 3 MB", Limit(10, 3_000_000)),
        ("10 3k", Limit(10, 3_000)),
        ("none", Limit(None, None)),
    ],
)
def test_a_limit_is_a_number_a_size_or_both(repo: Repo, text: str, expected: Limit) -> None:
    assert size.limit(Repository.open(repo.path)) == Limit()
    repo.git("config", "relay.isolateMax", text)
    assert size.limit(Repository.open(repo.path)) == expected


def test_a_bad_limit_is_quoted(repo: Repo) -> None:
    for text in ("", "many", "-1", "2TB", "1 2 3", "2GB 7", "9999999999999"):
        repo.git("config", "relay.isolateMax", text)
        with pytest.raises(UsageError, match=r"relay\.isolateMax"):
            size.limit(Repository.open(repo.path))


def test_too_much_is_shared_and_said_once(repo: Repo) -> None:
    repo.git("config", "relay.q.command", "sh -c 'echo done {access}'")
    repo.git("config", "relay.q.plain", "true")
    repo.git("config", "relay.isolate", "read")
    repo.sh("head -c 5000 /dev/zero > big; git add big")
    repo.git("config", "relay.isolateMax", "1")
    first = repo.relay(*ASKED, "--session", "s", "look")
    assert first.code == 0 and workspace_of(repo, "s") == "shared"
    assert "it has more than 1 file (relay.isolateMax); --isolate copies it" in first.err
    again = repo.relay(*ASKED, "--session", "s", "look")
    assert again.code == 0 and "isolateMax" not in again.err and workspace_of(repo, "s") == "shared"
    asked = repo.relay(*ASKED, "--isolate", "--session", "told", "look")
    assert asked.code == 0 and "isolateMax" not in asked.err and workspace_of(repo, "told") == "isolated"
    repo.git("config", "relay.isolateMax", "10 4KB")
    git = Repository.open(repo.path)
    covered = size._shares_blocks(git)
    assert size.excess(git) == ("" if covered else "more than 4 KB")
    sized = repo.relay(*ASKED, "--session", "sized", "look")
    assert ("more than 4 KB" in sized.err) != covered
    assert workspace_of(repo, "sized") == ("isolated" if covered else "shared")
