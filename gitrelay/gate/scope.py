"""Which changes a door of the gate is asked about: those of a push, and those that a person's words name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitrelay.gate import outgoing, record
from gitrelay.gate.bases import Remotes
from gitrelay.gate.outgoing import Change
from gitrelay.gate.record import Reviews
from gitrelay.gate.settings import Settings
from gitrelay.gate.updates import Update
from gitrelay.ledger.ledger import Ledger


def of_words(
    ledger: Ledger,
    words: str | None,
    base: str | None,
    chosen: Settings,
    *,
    tell: Callable[[str], None] | None = None,
) -> tuple[Change, str]:
    """(the change that a RANGE, a BRANCH or HEAD names, the remote it would be pushed to).

    With `tell` the remotes are asked what they have. Raises what `outgoing.of_words` raises.
    """
    change, remote = outgoing.of_words(Remotes(ledger.repo, chosen.bases, tell), words, base)
    return record.with_debts(Reviews(ledger), change), remote


def of_push(
    ledger: Ledger, updates: Sequence[Update], remote: str, chosen: Settings, tell: Callable[[str], None]
) -> list[Change]:
    """The changes that a push brings; the remotes are asked what they have."""
    remotes = Remotes(ledger.repo, chosen.bases, tell)
    reviews = Reviews(ledger)
    changes = outgoing.of_updates(remotes, updates, remote, tags=chosen.tags, notes=chosen.notes)
    return [record.with_debts(reviews, change) for change in changes]
