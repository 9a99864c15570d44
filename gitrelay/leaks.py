"""Secrets in what is recorded already: by an older version, by hand, or found by a rule that is new.

Read in two git processes, however many sessions there are: which files each commit added, and all of it at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay import names
from gitrelay.errors import UsageError
from gitrelay.ledger import ARCHIVE, BRANCHES, Ledger
from gitrelay.message import FILE

MESSAGE: Final = "commit message"  # what stands for a file's name there


@dataclass(frozen=True)
class Leak:
    """Where a secret stands, and by which rule it is one; what it is, is not said. `line` counts from 1."""

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
    for name in sessions:
        if name not in refs:
            names.check_session(name)
            raise UsageError(
                f"there is no session {names.quote(name)}",
                hint="'git relay ls' lists the sessions",
                code="unknown-session",
            )
    wanted = list(ledger.repo.additions([refs[name] for name in dict.fromkeys(sessions)] if sessions else there))
    places = []
    for commit, ref, files in wanted:
        session = _session(ref)
        address = next((_address(session, path) for _, path in files), session)
        places.append((commit, address, commit, MESSAGE))
        places += [(blob, _address(session, path), commit, path) for blob, path in files]
    leaks = []
    for place, found in zip(places, ledger.repo.objects([place[0] for place in places]), strict=True):
        _, address, commit, file = place
        text = found.data.decode("utf-8", "replace") if found is not None else ""
        if file == MESSAGE:
            text = text.partition("\n\n")[2]  # behind the headers; a signature is no secret
        line, at = 1, 0
        for span in redactor.find(text):
            line += text.count("\n", at, span.start)
            at = span.start
            leaks.append(Leak(address, commit, file, line, span.rule))
    return leaks


def _session(ref: str) -> str:
    return ref.removeprefix(BRANCHES).removeprefix(ARCHIVE)


def _address(session: str, path: str) -> str:
    match = FILE.fullmatch(path)
    with contextlib.suppress(UsageError):
        return str(names.parse_address(f"{session}/{match[1]}")) if match else session
    return session
