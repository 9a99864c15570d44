"""Help, man page, README and docs agree: verbs, options, settings, environment, examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import click
import pytest

from gitrelay.cli import VERBS, group, grouped, manpage
from gitrelay.cli.options import GroupedCommand, option_groups
from gitrelay.cli.reference import ENVIRONMENT, EXAMPLES, SETTINGS
from support.places import ROOT
from support.terminal import required

CONTEXT = click.Context(group, info_name="git-relay")
PAGE = manpage.render().replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")
FLAT = " ".join(PAGE.split())


def command_of(verb: str) -> click.Command:
    command = group.get_command(CONTEXT, verb)
    assert command is not None
    return command


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_reads_the_same_everywhere(verb: str) -> None:
    command = command_of(verb)
    inner = click.Context(command, info_name=verb, parent=CONTEXT)
    start = PAGE.index(f".SS git relay {verb} ")
    end = PAGE.find("\n.S", start + 1)
    part = " ".join(PAGE[start:end].split())
    shown = command.get_help(inner)
    for option in (p for p in command.params if isinstance(p, click.Option) and not p.hidden):
        record = option.get_help_record(inner)
        assert record is not None
        assert f"\\fB{record[0]}\\fR {' '.join(record[1].split())}".strip() in part, option.opts
        assert record[0] in shown, f"{option.opts} is missing in {verb} -h"
    for paragraph in (command.help or "").split("\n\n"):
        words = " ".join(paragraph.replace("\b", "").split())
        assert words in part.replace(" .PP", "").replace(" .nf .RS 4", "").replace(" .RE .fi", ""), words
    docs = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(re.search(rf"`?git relay {verb}\b|`{verb}\b", path.read_text()) for path in docs), "tell users of it"


def test_headings_hold_every_verb_and_every_option_once() -> None:
    assert [verb for verbs in grouped().values() for verb in verbs] == list(VERBS)
    assert "" not in grouped(), "the first verb needs a heading"
    for verb in VERBS:
        command = command_of(verb)
        shown = [o.name for options in option_groups(command, CONTEXT).values() for o in options]
        options = [p.name for p in command.get_params(CONTEXT) if isinstance(p, click.Option)]
        assert sorted(map(str, shown)) == sorted(map(str, options))
        if isinstance(command, GroupedCommand):
            named = [name for names in command.groups.values() for name in names]
            assert set(named) <= set(shown) and len(named) == len(set(named)), verb


def test_settings_are_those_of_the_two_pages_that_have_them() -> None:
    told: set[str] = set()
    both = (ROOT / "docs/settings.md").read_text() + (ROOT / "docs/gate.md").read_text()
    for cell in re.findall(r"^\| (`relay\..*?) \|", both, re.M):
        first, *others = re.findall(r"`([^`]+)`", cell)
        told |= {first, *(first.rpartition(".")[0] + other for other in others)}
    told = {name.replace("<peer>", "PEER") for name in told}
    ours = {name for name in SETTINGS if name.startswith("relay.")}
    assert ours == told | {"relay.PEER.command"}, "reference.SETTINGS, docs/settings.md, docs/gate.md"
    for name in (*SETTINGS, *ENVIRONMENT):
        assert f"\\fB{name}\\fR" in PAGE


def test_environment_is_what_the_code_reads() -> None:
    read: set[str] = set()
    for path in (ROOT / "gitrelay").rglob("*.py"):
        read |= set(re.findall(r'environ(?:\.get\(|\[|, )"([A-Z_]+)"', path.read_text()))
    read = {name for name in read - {"HOME", "PATH", "GITRELAY_CALL"} if not name.startswith("PRE_COMMIT_")}
    assert read <= ENVIRONMENT.keys(), "reference.ENVIRONMENT must tell of these"
    elsewhere = {"BASH_COMPLETION_USER_DIR", "COLUMNS", "GIT_DIR", "GIT_WORK_TREE", "GITRELAY_ACCESS", "GITRELAY_SKIP"}
    assert ENVIRONMENT.keys() - read <= elsewhere, "nothing reads these"


def test_examples_are_commands_that_parse() -> None:
    for command in (line for text in EXAMPLES.values() for line in text.split("\n")):
        assert command in PAGE
        words = shlex.split(command)
        if words[:2] == ["git", "relay"]:
            parsed = command_of(words[2]).make_context(words[2], words[3:])
            assert parsed.params


@pytest.mark.parametrize("checker", [["man", "--warnings", "-l"], ["mandoc", "-T", "lint", "-W", "warning"]])
def test_the_page_is_sound_roff(checker: list[str]) -> None:
    required(checker[0], "man-db mandoc")
    env = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*checker, ROOT / "docs/git-relay.1"], capture_output=True, text=True, env=env, timeout=60)
    complaints = done.stderr if checker[0] == "man" else done.stdout
    # a date would make two pages out of one source
    assert [line for line in complaints.splitlines() if "missing date" not in line] == []
    if checker[0] == "man":
        assert "git relay completion" in done.stdout and "EXIT STATUS" in done.stdout
