"""The ten tasks of docs/tasks.md, each done on a real terminal by the commands that the page has."""

from __future__ import annotations

import re
import shlex

import pytest

from support.places import ROOT
from support.repo import Repo, with_one_commit
from support.terminal import on_terminal

ROWS = re.findall(r"^\| (\d+)\. ([^|]+) \| ([^|]+) \|", (ROOT / "docs/tasks.md").read_text(), re.M)
SGR = re.compile(r"\x1b\[[0-9;]*m")
# what the person must have read at the end
SEEN = {
    1: ("response ask/01", "needs-input"),
    2: ("auth/02", "check-failed"),
    3: ("auth/02", "check-failed"),
    4: ("auth/02", "AssertionError: 3"),
    5: ("+broken",),
    6: ("talk/01", "The lock is taken twice."),
    7: ("both-two", "done"),
    8: ("ask/01", "Which one?"),
    9: ("shell", "(total)"),
    10: ("no findings",),
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    repo = with_one_commit(tmp_path_factory.mktemp("tasks"))
    asking = '{"status": "error", "verify": "skip", "reason": "needs-input", "body": "Which one?"}'
    repo.sh(
        "git config relay.one.command 'false'; git config relay.two.command 'touch done'; "
        "git config relay.two.verdict exit; git config relay.one.verdict exit; "
        f"printf %s {shlex.quote(asking)} > ../asking; git config relay.asker.command 'cat ../asking'"
    )
    check = "test ! -e broken.txt || { echo AssertionError: 3; exit 1; }"
    for words, code in (
        (("shell", "--session", "auth", "--check", check, "true"), 0),
        (("shell", "--session", "auth", "--check", check, "echo broken > broken.txt"), 1),
        (("shell", "--session", "auth", "--check", check, "rm broken.txt"), 0),
        (("shell", "--session", "talk", "echo The lock is taken twice."), 0),
        (("asker", "--session", "ask", "Choose."), 3),
    ):
        done = repo.relay("req", *words)
        assert done.code == code, done.err
    return repo


@pytest.mark.parametrize("number", range(1, 11))
def test_the_commands_of_the_page_do_it(record: Repo, number: int) -> None:
    found = {int(n): re.findall(r"`(git relay [^`]+)`", cell) for n, _, cell in ROWS}
    assert sorted(found) == list(range(1, 11)) and sum(map(len, found.values())) == 12
    text = ""
    for command in found[number]:
        with on_terminal(record, *shlex.split(command)[2:], columns=100) as seen:
            assert seen.end() == 0, seen.text
        text += SGR.sub("", seen.raw.decode())
    assert all(words in text for words in SEEN[number]), text
