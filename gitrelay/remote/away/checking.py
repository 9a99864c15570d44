"""The checks of a call that a worker answered: run here, on the answer's files, and recorded like any check.

They run in a workspace, so that the caller's tree stays as it is; who takes the answer runs them.
"""

from __future__ import annotations

import contextlib

from gitrelay.calls import checks, isolation
from gitrelay.errors import RelayError
from gitrelay.history import exchanges
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.record import CODE
from gitrelay.protocol.words import Status
from gitrelay.state.away import Away


def run(ledger: Ledger, away: Away) -> None:
    """Run the checks that are not recorded yet; none if there is no answer to check."""
    left = _left(ledger, away)
    if not left:
        return
    try:
        with locked(ledger, away.session):
            code = ledger.repo.ref(CODE + away.session) or ""
            here, _, _, _ = isolation.prepared(ledger, away.session, isolation.FRESH, (), code)
    except RelayError as e:
        lose(ledger, away, f"no workspace can be made for it: {e.message}")
        return
    try:
        for command in left:
            top = here.repo.place
            log = ledger.state.log_path(away.address, "check")
            trees = isolation.trees(here.repo)
            result = checks.run(command, top, away.check_limit, log, ledger.redactor, lambda: None, trees=trees)
            _record(ledger, away, result, snapshot.take(here.repo, away.session))
    finally:
        with contextlib.suppress(RelayError):
            isolation.done(ledger, away.session)


def lose(ledger: Ledger, away: Away, why: str) -> None:
    """Record those that were not run as lost."""
    for command in _left(ledger, away):
        _record(ledger, away, CheckResult(command, "lost", output=why), None)


def _left(ledger: Ledger, away: Away) -> list[str]:
    found = exchanges.exchange(ledger, away.address)
    tip = ledger.tip(away.session)
    if tip is None or found.response is None or found.status != Status.DONE:
        return []
    return list(away.checks[tip.checks(away.id) :])


def _record(ledger: Ledger, away: Away, result: CheckResult, files: Snapshot | None) -> None:
    with locked(ledger, away.session) as held:
        tip = held.tip()
        if tip is not None and tip.pending is None:
            held.append_check(tip, away.id, result, files=files)
