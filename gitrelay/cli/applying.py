"""Applying at once what has passed, and saying so."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gitrelay.calls import taking, within
from gitrelay.calls.within import By
from gitrelay.cli import output
from gitrelay.errors import RelayError
from gitrelay.history.exchange import Exchange
from gitrelay.history.outcome import PASS
from gitrelay.ledger.applying import Way
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access


def at_once(ledger: Ledger, found: Sequence[Exchange], asked: Collection[Address]) -> None:
    """Apply the first of `found` that passed; say why of those that are not. Those not in `asked` were done before."""
    by = By.here(ledger.repo, within.require(ledger, Access.WRITE, "git relay req --apply"))
    taken = False
    for one in found:
        if one.address not in asked:
            continue
        if one.outcome != PASS or one.failed_at_worker or taken:
            ended = "a check at the worker that did not pass" if one.outcome == PASS else one.outcome
            why = "another one was" if taken else f"it ended with {ended}"
            output.say(f"{one.address}: not applied: {why}")
            continue
        try:
            done = taking.apply(ledger, one.address, by, Way())
        except RelayError as e:
            output.say(f"{one.address}: not applied: {e.message}")
            continue
        output.note(done.notes)
        taken = True
        names = ", ".join(f"{change.state} {change.path}" for change in done.applied.changes[:10])
        output.say(f"{one.address}: applied: {names or 'nothing to change'}")
