"""Checks: commands that gitrelay runs itself after an answer, in the caller's tree, and records.

What a peer reports and what the tool observed are separate records. A check runs as the caller would run it: with
`sh -c`, because a shell command is what was asked for, in the caller's environment, stdin closed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitrelay import environment
from gitrelay.calls import isolation, surroundings
from gitrelay.calls.surroundings import Trees
from gitrelay.calls.within import By
from gitrelay.errors import Busy, Code, UsageError
from gitrelay.ground.text import ending
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.process.capture import Capture
from gitrelay.process.values import Limits
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.names import Address

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_HEAD: Final = 16 * 1024
_TAIL: Final = 48 * 1024


def run(
    command: str,
    place: Path,
    limit: float | None,
    log: Path,
    redactor: Redactor,
    cancelled: Callable[[], str | None],
    *,
    mark: str = "",
    trees: Trees | None = None,
) -> CheckResult:
    """Run one check in `place` and see how it ends. What it prints is streamed to `log`, with a cap.

    `mark` tells its processes. One that would use a program of the caller's tree tells nothing of the workspace of
    `trees`, and is `lost`.
    """
    from gitrelay.process import child
    from gitrelay.process.log import Log

    around = environment.for_peer(os.environ, {environment.CALL: mark} if mark else {})
    if trees is not None:
        around = surroundings.of(trees, around)
    found = program(command, place, around)
    if trees is not None and (back := surroundings.leads_back(trees, named(command, place, around))):
        why = f"not run: it would use {back}, in the caller's tree, and tell nothing of the files of the call"
        return CheckResult(command, "lost", 0.0, why, found)
    capture = Capture(_HEAD, _TAIL, redactor)
    out = Log(log, redactor)
    try:
        end = child.run(
            ("sh", "-c", command),
            cwd=place,
            env=around,
            stdin=b"",
            limits=Limits(wall=limit),
            listener=capture,
            out_log=out,
            err_log=None,
            cancelled=cancelled,
            started=lambda pid, at: None,
        )
    finally:
        out.close()
    if end.stopped is not None:
        word = "timeout" if end.stopped == "timeout" else "lost"
    elif end.exit_code is None:
        return CheckResult(command, "lost", end.seconds, f"it did not start: {end.error}", found)
    else:
        word = "pass" if end.exit_code == 0 else f"fail ({ending(end.exit_code)})"
    return CheckResult(command, word, end.seconds, capture.text(), found)


def program(command: str, place: Path, environ: Mapping[str, str]) -> str:
    """The file that the command's first word is found as, links followed; '' if the shell finds it another way."""
    found = named(command, place, environ)
    return os.path.realpath(found) if found else ""


def named(command: str, place: Path, environ: Mapping[str, str]) -> str:
    """The same before links are followed."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    word = next((word for word in words if not _ASSIGNMENT.match(word)), "")
    if "/" in word:
        path = place / word
        return str(path) if path.is_file() else ""
    found = shutil.which(word, path=environ.get("PATH", os.defpath)) if word else None
    return str(place / found) if found else ""


def again(ledger: Ledger, address: Address, commands: Sequence[str], limit: float | None, by: By) -> list[CheckResult]:
    """Run the checks of an answered exchange again, or other ones, and append the results with who ran them.

    Raises UsageError if there is nothing to run or no place to run it, Busy while the session has a turn in flight.
    """
    from gitrelay.history import exchanges

    found: Exchange = exchanges.exchange(ledger, address)
    if found.response is None:
        raise UsageError(f"{address} is not answered yet", hint=f"git relay wait {address}", code=Code.NOT_ANSWERED)
    repo = isolation.files_of_exchange(ledger, found)
    if repo.top is None:
        raise ledger.repo.has_no_tree("a bare repository has no files to check", hint="use a clone")
    wanted = list(commands) or list(dict.fromkeys(check.command for check in found.checks))
    if not wanted:
        raise UsageError(f"{address} has no checks", hint="name one: --check CMD", code=Code.NO_CHECKS)
    results = []
    for command in wanted:
        if "[redacted:" in command:
            raise UsageError(
                "a check of it was redacted and cannot be run again", hint="name it: --check CMD", code=Code.REDACTED
            )
        log = ledger.state.log_path(address, f"check-{int(time.time())}")
        ledger.state.prepare()
        result = run(command, repo.top, limit, log, ledger.redactor, lambda: None, trees=isolation.trees(repo))
        with locked(ledger, address.session) as held:
            tip = held.tip()
            if tip is None:
                raise UsageError(f"session {address.session} is archived", hint="git relay archive --restore it")
            if tip.pending is not None:
                raise Busy(f"session {address.session} has a turn in flight: {Address(address.session, tip.pending)}")
            held.append_check(tip, address.id, result, by.trailers, files=snapshot.take(repo, address.session))
        results.append(result)
    return results
