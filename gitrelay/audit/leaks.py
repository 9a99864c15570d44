"""Finds secrets in what is already recorded: by an older version, by hand, or before a rule was added.

Two git processes read some hundred sessions at a time: one lists the files that each commit added, one prints them
all. So no more is held in memory than those, however many sessions there are.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.errors import UsageError
from gitrelay.git.repository import Repository
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger
from gitrelay.process import pool
from gitrelay.protocol import names
from gitrelay.protocol.message import FILE
from gitrelay.protocol.record import ARCHIVE, BRANCHES, STEPS
from gitrelay.protocol.steps import FILE as STEPS_FILE
from gitrelay.redact import Redactor

_PART: Final = 250  # sessions
_BETWEEN: Final = "\n\0\n"  # no rule matches across it

MESSAGE: Final = "commit message"  # in place of a file's name


@dataclass(frozen=True)
class Leak:
    """Where a secret is and which rule found it, but not the secret. `line` counts from 1."""

    address: str
    commit: str
    file: str
    line: int
    rule: str


def find(ledger: Ledger, sessions: Sequence[str] = ()) -> list[Leak]:
    """Every secret in `sessions`, or in all, archived ones too; files and commit messages. Oldest commit first.

    Raises UsageError for an unknown session or a bad pattern.
    """
    redactor = ledger.redactor
    there = [row[0] for row in ledger.repo.each_ref("%(refname)", BRANCHES, ARCHIVE)]
    refs = {_session(ref): ref for ref in there}
    steps = {_session(row[0]): row[0] for row in ledger.repo.each_ref("%(refname)", STEPS)}
    for name in sessions:
        if name not in refs:
            names.check_session(name)
            raise exchanges.unknown_session(ledger, name)
    refs_of = [refs[name] for name in dict.fromkeys(sessions)] if sessions else there
    refs_of = refs_of + [ref for name, ref in steps.items() if name in refs and (not sessions or name in sessions)]
    cut = -(-len(refs_of) // _PART)
    parts = [refs_of[i::cut] for i in range(cut)]
    work = functools.partial(_in_part, ledger.repo, redactor)
    count = pool.workers(cut) if cut > 1 else 1
    found = [one for part in pool.each(work, parts, count, collect=False) for one in part]
    return list(dict.fromkeys(leak for _, leak in sorted(found, key=lambda one: one[0])))


def _in_part(repo: Repository, redactor: Redactor, refs: Sequence[str]) -> list[tuple[int, Leak]]:
    """(when its commit was made, the secret) of each secret in some sessions."""
    places = []
    for commit, time, ref, files in _additions(repo, refs):
        session = _session(ref)
        address = next((_address(session, path) for _, path in files), session)
        places.append((commit, time, address, commit, MESSAGE))
        places += [(blob, time, _address(session, path), commit, path) for blob, path in files]
    texts = []
    for place, read in zip(places, repo.objects([place[0] for place in places]), strict=True):
        data = read.data if read is not None else b""
        texts.append(text_of_commit(data) if place[4] == MESSAGE else data.decode("utf-8", "replace"))
    return [
        (time, Leak(address, commit, file, line, rule))
        for number, line, rule in search(redactor, texts)
        for _, time, address, commit, file in (places[number],)
    ]


def text_of_commit(raw: bytes) -> str:
    """The message of a raw commit object; a signature among its headers is no secret."""
    return raw.partition(b"\n\n")[2].decode("utf-8", "replace")


def search(redactor: Redactor, texts: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(the number of the text, the line in it from 1, the rule) of each secret.

    Built-in rules look through all texts at once, 4 times as fast as one after the other; patterns of
    the user are matched text by text, because `^` and `$` may mean the beginning and the end of a text.
    """
    numbers: Sequence[int] = range(len(texts))
    if not redactor.has_patterns:
        starts, at = [], 0
        for text in texts:
            starts.append(at)
            at += len(text) + len(_BETWEEN)
        suspects: set[int] = set()
        for span in redactor.find(_BETWEEN.join(texts)):
            first, last = (bisect.bisect_right(starts, place) - 1 for place in (span.start, span.end - 1))
            suspects.update(range(first, last + 1))
        numbers = sorted(suspects)
    for number in numbers:
        text = texts[number]
        line, at = 1, 0
        for span in redactor.find(text):
            line += text.count("\n", at, span.start)
            at = span.start
            yield number, line, span.rule


def _session(ref: str) -> str:
    return ref.removeprefix(BRANCHES).removeprefix(ARCHIVE).removeprefix(STEPS)


def _address(session: str, path: str) -> str:
    match = FILE.fullmatch(path) or STEPS_FILE.fullmatch(path)
    with contextlib.suppress(UsageError):
        return str(names.parse_address(f"{session}/{match[1]}")) if match else session
    return session


def _additions(repo: Repository, refs: Sequence[str]) -> Iterator[tuple[str, int, str, list[tuple[str, str]]]]:
    """(commit, its time, the one of `refs` it was reached from, (blob, path) of every file it added), oldest first."""
    if not refs:
        return  # git would take HEAD
    words = (
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--diff-filter=d",
        "-z",
        "--format=%x02%H%x03%ct%x03%S%x04",
    )
    out = repo.run("log", "--stdin", "--reverse", *words, stdin="".join(f"{ref}\n" for ref in refs).encode())
    for record in out.decode("utf-8", "surrogateescape").split("\x02")[1:]:
        head, _, rest = record.partition("\x04")
        commit, time, ref = head.split("\x03", 2)
        fields = rest.split("\0")
        changes = [i for i, text in enumerate(fields) if text.lstrip("\n").startswith(":")]
        yield (
            commit,
            int(time) if time.isdecimal() else 0,
            ref,
            [(fields[i].split(" ")[3], fields[i + 1]) for i in changes if i + 1 < len(fields)],
        )
