"""What people type to ask, and what they see when the answer comes: on a terminal drawn, on a pipe raw."""

from __future__ import annotations

import re

import pytest

from support.repo import Repo
from support.terminal import on_terminal
from support.waiting import eventually

SGR = re.compile(r"\x1b\[[0-9;]*m")


def test_the_peer_is_the_first_word_or_the_usual_one(repo: Repo) -> None:
    done = repo.relay("req", "--session", "s", "shell", "true")
    assert done.code == 0 and done.err.startswith("s/01\n") and "from: shell" in done.out
    assert repo.relay("req", "--session", "s", "shell", stdin=b"exit 1\n").code == 1
    for words, said in (
        (("true",), "git config relay.to codex"),
        (("shall", "true"), "did you mean shell?"),
        (("shell", "two", "words"), 'git relay req shell "two words"'),
        (("--to", "cluade", "true"), "did you mean claude?"),
    ):
        wrong = repo.relay("req", *words)
        assert wrong.code == 2 and said in wrong.err and wrong.err.count("\n") == 1, wrong.err
    repo.git("config", "relay.to", "shell")
    assert repo.relay("req", "--session", "s", "true").code == 0
    assert [e["to"] for e in repo.relay("log", "s", "--json").json["data"]] == ["shell"] * 3
    repo.git("config", "relay.to", "nobody")
    assert "'nobody'" in repo.relay("req", "true").err


@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_gets_the_answer_drawn_and_one_line(repo: Repo, columns: int) -> None:
    task = "printf 'a\\nb\\n' > new.txt; sed -i 1d app.py"
    with on_terminal(repo, "req", "--session", "s", "--check", "exit 1", "shell", task, columns=columns) as seen:
        assert seen.end() == 1
    text = SGR.sub("", seen.raw.decode()).replace("\r", "")
    assert "relay: 4" not in text and "response s/01" in text
    (line,) = [line for line in text.splitlines() if line.startswith("check-failed ")]
    assert "2 files changed +2 -1" in line and len(line) <= columns
    assert "git relay diff s/01" in text and ("git relay diff s/01" in line) == (columns >= 80)
    with on_terminal(repo, "show", "s/1", columns=columns) as seen:
        assert seen.end() == 0
    assert "2 files changed +2 -1" in SGR.sub("", seen.raw.decode())
    assert repo.relay("wait", "s").out.startswith("---\nrelay: 4\n"), "raw on a pipe"


def test_ctrl_c_in_wait_ends_the_waiting_only(repo: Repo) -> None:
    assert repo.relay("req", "--session", "s", "-d", "shell", "until [ -e go ]; do sleep 0.1; done").code == 0
    with on_terminal(repo, "wait", columns=120) as seen:
        eventually(lambda: seen.read() or "s/01" in seen.text)
        seen.type("\x03")
        assert seen.end() == 130
    assert "s/01 still goes on" in seen.text and "git relay cancel s/01" in seen.text
    (repo.path / "go").touch()
    assert repo.relay("wait").code == 0
