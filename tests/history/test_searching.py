"""Searching what was said, and listing it: the newest first, without what gitrelay adds to every message."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from support.repo import GIT_RELAY, Repo, with_one_commit
from support.terminal import on_terminal
from support.waiting import patient

SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """Two sessions, one of them archived; tests only read."""
    repo = with_one_commit(tmp_path_factory.mktemp("said"))
    repo.sh("git config relay.fake.plain true; git config relay.fake.command 'cat ../answer'")
    asked = (
        ("a", "fake", "Look at the lock", "The lock\nis taken\ntwice."),
        ("b", "shell", "echo 'lock of b'; exit 1", ""),
        ("a", "fake", "Und die Prüfung?", "[ein] Schloß (lock) " + "x" * 3000),
    )
    for n, (session, peer, task, answer) in enumerate(asked):
        (repo.path.parent / "answer").write_text(answer)
        check = ["--check", "echo checked the lock"] if n == 2 else []
        words = ["req", "--from", "uma", "--to", peer, "--session", session, *check, task]
        repo.sh(f"git-relay {shlex.join(words)} || true")
    repo.sh("git-relay archive b")
    return repo


def hits(repo: Repo, *words: str) -> list[str]:
    done = repo.relay("grep", *words)
    assert done.code == 0, done.err
    return [line.partition(": ")[0] for line in done.out.splitlines()]


def test_every_kind_of_message_newest_first(said: Repo) -> None:
    found = hits(said, "lock")
    sessions = list(dict.fromkeys(line.split(" ")[0] for line in found))
    assert sorted(sessions) == ["a/01", "a/02", "b/01"]
    assert {line.split(" ")[1].rstrip("0123456789:") for line in found} == {"req", "res", "check"}
    times = {e["address"]: e["requested"] for e in said.relay("log", "--json").json["data"]}
    assert sorted(sessions, key=lambda one: -times[one]) == sessions


@pytest.mark.parametrize("word", ["Format:", "pass | fail", "your response", "^Reply:", "^from: ", "relay: 4", "^---"])
def test_what_gitrelay_adds_is_not_found(said: Repo, word: str) -> None:
    assert hits(said, "-F", word) == [] or "check" in hits(said, word)[0]
    if word.startswith("^") or "|" not in word:
        assert not [line for line in hits(said, word) if " req" in line or " res" in line]


def test_it_is_narrowed(said: Repo) -> None:
    assert {one.split(" ")[0] for one in hits(said, "lock", "--session", "a")} == {"a/01", "a/02"}
    assert {one.split(" ")[0] for one in hits(said, "lock", "--to", "shell")} == {"b/01"}
    assert {one.split(" ")[1][:3] for one in hits(said, "lock", "--req", "--check")} == {"req", "che"}
    assert hits(said, "LOCK") == [] and hits(said, "-i", "LOCK", "--req", "--session", "a")
    assert hits(said, "-F", "(lock)") and hits(said, "Schlo(ß|ss) .lock") and not hits(said, "-F", "Schlo(ß|ss)")
    assert hits(said, "lock", "--since", "2000-01-01") == hits(said, "lock")
    assert hits(said, "-n", "1", "lock")[0].startswith(hits(said, "lock")[0].split(" ")[0])
    assert "there are more" in said.relay("grep", "-n", "1", "lock").err
    around = said.relay("grep", "taken", "-C", "1").out
    assert re.fullmatch(r"a/01 res-\d+: The lock\na/01 res:\d+: is taken\na/01 res-\d+: twice\.\n", around)
    assert max(map(len, said.relay("grep", "Schloß").out.splitlines())) < 1100


@pytest.mark.parametrize("words", [["["], ["(lock"], [""], ["a\nb"], ["x" * 2000], ["lock", "--since", "gestern"]])
def test_bad_patterns_are_usage_errors(said: Repo, words: list[str]) -> None:
    done = said.relay("grep", *words)
    assert done.code == 2 and done.err.count("\n") == 1 and "; " in done.err, done.err


def test_the_repository_is_not_written_to(said: Repo) -> None:
    before = said.sh("git count-objects -v; find .git -newer ../answer -type f | sort | head -400")
    assert hits(said, "lock")
    assert said.sh("git count-objects -v; find .git -newer ../answer -type f | sort | head -400") == before


def test_json_and_a_reader_that_goes(said: Repo) -> None:
    rows = said.relay("grep", "taken", "--json").json["data"]
    assert [row["address"] for row in rows] == ["a/01"]
    assert rows[0]["lines"][0]["kind"] == "res" and rows[0]["lines"][0]["text"] == "is taken"
    for verb in ("grep lock", "log", "show a", "ls"):
        with subprocess.Popen(
            [*GIT_RELAY, *verb.split()],
            cwd=said.path,
            env=dict(said.env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert (process.wait(patient(60)), process.stderr.read()) == (0, b""), verb


def test_a_terminal_has_a_heading_and_fits(said: Repo) -> None:
    for columns in (40, 80, 200):
        with on_terminal(said, "grep", "lock", columns=columns) as seen:
            assert seen.end() == 0
        lines = SGR.sub("", seen.raw.decode()).replace("\r", "").splitlines()
        assert all(len(line) <= columns for line in lines), lines
        assert any(line.startswith("a/02") for line in lines)
        assert "\x1b[1mlock\x1b[m" in seen.raw.decode()


def test_log_is_narrowed(said: Repo) -> None:
    def log(*words: str) -> list[str]:
        return [line.split(" ")[0] for line in said.relay("log", *words).out.splitlines()[1:]]

    assert log() == log("--reverse")[::-1] and len(log()) == 3
    assert log("-n", "1") == log()[:1]
    assert log("--failed") == log("--peer", "shell") == log("--grep", "lock of") == ["b/01"]
    assert log("--since", "1d") == log() or log("--since", "1d") == []
    assert said.relay("log", "--grep", "(").code == 2
    assert log("a") == log("relay/a") == ["a/02", "a/01"]
