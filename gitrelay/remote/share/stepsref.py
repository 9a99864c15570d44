"""What peers say they did, as it comes from a remote: looked at before it is part of the repository, forward only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.audit import stepsref
from gitrelay.audit.reading import Ref
from gitrelay.ground.text import plain
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import STEPS
from gitrelay.remote.share.wire import Arrived, There

_LARGEST: Final = 64 * 1024 * 1024  # bytes of one object


def good(ledger: Ledger, there: There, arrived: Arrived, sessions: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """(the commits of the steps refs that may be taken, by session; what to tell of the others)."""
    found: dict[str, str] = {}
    notes = []
    for name in sessions:
        ref = STEPS + name
        theirs, ours = there.refs.get(ref), ledger.repo.ref(ref)
        if theirs is None or theirs == ours or (ours is not None and arrived.is_ancestor(theirs, ours)):
            continue
        if ours is not None and not arrived.is_ancestor(ours, theirs):
            notes.append(f"the steps of {name} stay as they are here: the remote has others")
            continue
        why = _fault(ledger, arrived, Ref(ref, name, theirs))
        if why:
            notes.append(f"the steps of {name} were not taken: {why}")
        else:
            found[name] = theirs
    return found, notes


def _fault(ledger: Ledger, arrived: Arrived, ref: Ref) -> str:
    if arrived.largest([ref.tip]) > _LARGEST:
        return "one of them is too large"
    first = next(iter(stepsref.check(arrived.store, ledger.redactor, [ref])), None)
    return plain(first.message, 200) if first is not None else ""


def take(ledger: Ledger, remote: str, steps: dict[str, str]) -> None:
    """Move the refs. Raises RelayError."""
    repo = ledger.repo
    moves = [(STEPS + name, tip, repo.ref(STEPS + name) or repo.no_object) for name, tip in steps.items()]
    if moves:
        repo.move_refs(moves, f"steps that {remote} has")
