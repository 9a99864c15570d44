"""The ten tasks of docs/tasks.md, each done on a real terminal by the commands that the page has."""

from __future__ import annotations

import re
import shlex

import pytest

from support.repo import Repo
from support.tasks import make, tasks
from support.terminal import on_terminal

TASKS = tasks()
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
    return make(tmp_path_factory.mktemp("tasks"))


@pytest.mark.parametrize("number", range(1, 11))
def test_the_commands_of_the_page_do_it(record: Repo, number: int) -> None:
    assert sorted(TASKS) == list(range(1, 11)) and sum(len(task.commands) for task in TASKS.values()) == 12
    commands = TASKS[number].commands
    assert TASKS[number].said == (len(commands), sum(len(command) + 1 for command in commands)), "with Enter"
    text = ""
    for command in commands:
        with on_terminal(record, *shlex.split(command)[2:], columns=100) as seen:
            assert seen.end() == 0, seen.text
        text += SGR.sub("", seen.raw.decode())
    assert all(words in text for words in SEEN[number]), text
