"""Searching what exchanges changed: what was added and removed, newest first, and nothing that is not a line."""

from __future__ import annotations

import functools
import re
import time

import pytest

from support.repo import Repo, with_one_commit
from support.terminal import on_terminal
from support.waiting import eventually

SGR = re.compile(r"\x1b\[[0-9;]*m")
# made at run time: a scanner of this file must not find it
TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Three exchanges, each in its own second: a file is written, then changed and renamed; large and strange ones."""
    made = with_one_commit(tmp_path_factory.mktemp("changed"))
    commands = (
        ("a", "shell", "printf 'one\\nlock_max = 3\\nthree\\nfour\\nfive\\nsix\\nseven\\neight\\n' > f.py"),
        ("b", "shell", "sed -i.old 's/lock_max = 3/lock_max = 4/' f.py; rm f.py.old; mv f.py g.py"),
        (
            "a",
            "shell",
            "printf 'lock_max \\000' > binary; head -c 5000000 /dev/zero | tr '\\0' 'x' > big; echo lock_max >> big;"
            f" printf 'lock_max\\n' > 'a b'; printf 'lock_max = \"{TOKEN}\"\\r\\n' >> app.py;"
            " yes lock_many | head -300 > many",
        ),
    )
    made.sh("git config relay.isolate never")
    for session, peer, command in commands:
        done = made.relay("req", "--from", "uma", "--to", peer, "--session", session, command)
        assert done.code == 0, done.err
        begun = int(time.time())  # what is asked in the same second has no order
        assert eventually(functools.partial(_is_past, begun + 1))
    return made


def _is_past(second: int) -> bool:
    return time.time() >= second


def lines(repo: Repo, *words: str) -> list[str]:
    done = repo.relay("grep", "--code", *words)
    assert done.code == 0, done.err
    return done.out.splitlines()


def test_added_and_removed_lines_newest_first(repo: Repo) -> None:
    assert lines(repo, "lock_max") == [
        "a/02 + a b:1: lock_max",
        'a/02 + app.py:2: lock_max = "[redacted:github-token]"',
        "b/01 - g.py:2: lock_max = 3",
        "b/01 + g.py:2: lock_max = 4",
        "a/01 + f.py:2: lock_max = 3",
    ]
    assert lines(repo, "-C", "1", "lock_max = 4") == [
        "b/01 - g.py-2: lock_max = 3",
        "b/01 + g.py:2: lock_max = 4",
        "b/01   g.py-3: three",
    ]


def test_it_is_narrowed_as_messages_are(repo: Repo) -> None:
    assert lines(repo, "--session", "b", "-F", "lock_max = 3") == ["b/01 - g.py:2: lock_max = 3"]
    assert lines(repo, "-i", "-F", "LOCK_MAX = 4") and not lines(repo, "-F", "LOCK_MAX = 4")
    assert not lines(repo, "-F", "lock_max = [34]") and not lines(repo, "--to", "codex", "lock_max")
    assert lines(repo, "--since", "2000-01-01", "-n", "1", "lock_max") == lines(repo, "lock_max")[:2]
    (row,) = repo.relay("grep", "--code", "--json", "lock_many").json["data"]
    assert row["address"] == "a/02" and len(row["lines"]) == 200 and row["more_lines"] == 100
    assert row["lines"][0] == {"file": "many", "kind": "added", "line": 1, "text": "lock_many", "match": True}
    assert "100 lines more: git relay diff a/02" in repo.relay("grep", "--code", "lock_many").err


@pytest.mark.parametrize("words", [["("], [""], ["a\nb"], ["x", "--res"], ["x", "--session", "none"]])
def test_wrong_words_are_usage_errors(repo: Repo, words: list[str]) -> None:
    done = repo.relay("grep", "--code", *words)
    assert done.code == 2 and done.err.count("\n") == 1, done.err


def test_a_terminal_names_each_file_once_and_fits(repo: Repo) -> None:
    with on_terminal(repo, "grep", "--code", "lock_max", columns=44) as seen:
        assert seen.end() == 0
    drawn = SGR.sub("", seen.raw.decode()).replace("\r", "").splitlines()
    assert all(len(line) <= 44 for line in drawn), drawn
    assert drawn.count("  g.py") == 1 and "  -   2 lock_max = 3" in drawn


def test_files_that_are_not_here_are_told(repo: Repo) -> None:
    clone = Repo(repo.path.parent / "clone", repo.env)
    repo.sh("git clone -q 'file://'\"$PWD\" ../clone")
    clone.sh("git fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*'")
    done = clone.relay("grep", "--code", "lock_max")
    assert done.code == 0 and done.out == ""
    assert "3 exchanges without files in this clone" in done.err
