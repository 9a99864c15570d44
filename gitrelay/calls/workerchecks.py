"""The checks that a worker runs for who asked on another machine: before its answer, in which it says how they ended.

What it says is its word. Who asked has not seen it, and it never counts as a check that was run there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.calls import checks, settings
from gitrelay.calls.outcome import Outcome
from gitrelay.calls.surroundings import Trees
from gitrelay.ground.text import plain
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.check import CheckResult, render_list
from gitrelay.protocol.record import Trailer
from gitrelay.protocol.words import Status
from gitrelay.state.calls import Call, CallFolder

_LAST: Final = 200  # characters of a failed check's last line


def told(
    ledger: Ledger, folder: CallFolder, call: Call, outcome: Outcome, cancelled: Callable[[], str | None]
) -> Outcome:
    """`outcome` with how each check ended; as it is if there is none to run, or no answer to run one on."""
    if not call.worker_checks or outcome.response.status != Status.DONE:
        return outcome
    limit = settings.check_limit(ledger.repo)
    trees = Trees(call.top, call.workspace)
    results = []
    for command in call.worker_checks:
        where = (Path(call.place), limit, folder.check_log, ledger.redactor, cancelled)
        results.append(checks.run(command, *where, mark=call.check_mark, trees=trees))
    notes = [_note(one) for one in results if one.word != "pass"]
    said = {Trailer.WORKER_CHECKS: render_list([one.word for one in results])}
    return replace(outcome, trailers={**outcome.trailers, **said}, notes=(*outcome.notes, *notes))


def _note(result: CheckResult) -> str:
    last = next((line for line in reversed(result.output.splitlines()) if line.strip()), "")
    said = f": {plain(last.strip(), _LAST)}" if last else ""
    return f"check at the worker, {result.word}: {plain(result.command, _LAST)}{said}"
