"""Every verb with words that nobody meant: one line that quotes them, no bug, and nothing wider than the terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zlib
from collections.abc import Iterator
from importlib import import_module

import click
import pytest
from rich.cells import cell_len

from gitrelay.cli import VERBS, module_of
from gitrelay.errors import BUG, USAGE
from gitrelay.ground.text import quote
from support import zygote
from support.repo import Repo
from support.waiting import patient

# '' is what a shell variable is that was never set; the last but one is what a file's name in another encoding is
WORDS = (
    "no such thing!",
    "",
    "x" * 100_000,
    "مرحبا بالعالم",
    "你好世界",
    "👩‍👩‍👧🇩🇪",
    "e\u0301\u0323Z\u0351\u0300",
    os.fsdecode(b"a\xff\xfeb"),
    "a\x1b[31mb\nc\u202ed",
)
# what was wrong before the bad word came to be looked at
_OTHER_FAULT = re.compile(
    "missing|Missing|needs|go together|goes with|requires|no reviewer|no question|which key|whose signatures"
    "|nothing to be compared"
)
_SGR = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


def command_of(verb: str) -> click.Command:
    command: click.Command = import_module(f"gitrelay.cli.verbs.{module_of(verb)}").command
    return command


def cases(verb: str) -> Iterator[tuple[str, list[str]]]:
    """(the bad word, the words of the command): as its operand, two of them, and as each option's value, one."""
    command, turn = command_of(verb), zlib.crc32(verb.encode())
    last = ["--timeout", "10ms"] if verb == "watch" else []
    for number in range(2):
        word = WORDS[(turn + number * 4) % len(WORDS)]
        yield word, [verb, word, *last]
    for number, option in enumerate(command.params):
        if isinstance(option, click.Option) and not option.is_flag and not option.count:
            word = WORDS[(turn + number) % len(WORDS)]
            yield word, [verb, max(option.opts, key=len), *[word] * option.nargs, *last]


@pytest.mark.parametrize("verb", VERBS)
def test_words_that_nobody_meant(answered: Repo, verb: str) -> None:
    as_json = any("--json" in option.opts for option in command_of(verb).params)
    for number, (word, words) in enumerate(cases(verb)):
        extra = ["--json"] if as_json and number % 4 == 3 else []
        done = answered.relay(*words, *extra)
        told = f"{[w[:40] for w in words]}: {done.code}: {done.err[:300]}"
        assert 0 <= done.code < BUG, told
        assert "Traceback" not in done.err and b"Traceback" not in done.raw, told
        if extra:
            (found,) = json.loads(done.raw)["errors"] or [{"message": "", "hint": ""}] if done.code else [{}]
            assert len(found.get("message", "")) < 600, told
        elif done.code == USAGE:
            *guesses, said = done.err.splitlines()  # a guessed address is told first
            assert guesses in ([], ["s/01"]) and said.startswith("git-relay: ") and len(said) < 700, told
            assert said.isprintable() and len(set(said.split("; "))) == len(said.split("; ")), told
            if not _OTHER_FAULT.search(said):
                shown = quote(word)[1:-1].removesuffix("...")[:20]
                assert shown in said or words[1] in said, told


TASK = "echo 'مرحبا بالعالم 你好世界 👩‍👩‍👧 Ze\u0301\u0323 " + "wide 宽 " * 40 + "'; printf '%01000d\\n' 7"
# `diff` is git's own text, and the paths of `hooks list` are not cut
DRAWN = (
    *("ls", "ls --open", "ls --questions", "log", "log s", "log --failed", "show s", "show s/02", "show s/02 --req"),
    *("status", "stats", "stats s", "grep 宽", "grep -C 2 wide", "compare g", "peers", "doctor", "fsck", "scan"),
    *("help", "help words"),
)


@pytest.mark.parametrize("columns", [80, 200])
def test_nothing_is_wider_than_the_terminal(answered: Repo, columns: int) -> None:
    name = "long-" + "n" * 58
    names = (
        "printf x > 'a b 宽宽.txt'; printf y > \"$(printf 'b\\377')\"; "
        + f"mkdir -p {'d' * 90} && echo 1 > {'d' * 90}/f"
    )
    assert answered.relay("req", "--from", "uma", "--to", "shell", "--session", "s", f"{names}; {TASK}").code == 0
    assert answered.relay("req", "--to", "shell", "--session", name, "--check", "false " + "c " * 80, TASK).code == 1
    env = {**answered.env, "TERM": "xterm-256color", "GIT_PAGER": "cat"}
    for words in [*DRAWN, f"show {name}", f"log {name}"]:
        try:
            done = zygote.run(words.split(" "), env, answered.path, b"", patient(60), columns=columns)
        except subprocess.TimeoutExpired:
            pytest.fail(words)
        out = done.stdout.decode()
        assert 0 <= done.returncode < BUG and "Traceback" not in out, (words, done.stderr)
        for line in _SGR.sub("", out).replace("\r\n", "\n").split("\n"):
            assert cell_len(line) <= columns, f"{words}: {cell_len(line)}: {line[: columns + 40]}"
            assert "\x1b" not in line and "\r" not in line, f"{words}: {line!r}"
