"""Which sessions need a person, and why: the same words in the index with scripts and without."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.question import NEEDS_INPUT
from gitrelay.report.listing import Entry, Row
from gitrelay.state import away as aways

REJECTED: Final = "refs/relay/rejected/"  # what came from another clone and was not taken
QUESTION: Final = "asks a question"
DEAD: Final = "pending, and nothing on this machine works on it"


def running(ledger: Ledger) -> frozenset[str]:
    """The addresses of the calls that run on this machine, or that another one is to answer."""
    alive = (folder.load() for folder in ledger.state.calls() if folder.is_alive())
    away = (str(one.address) for one in aways.everything(ledger.state.root))
    return frozenset((*(str(call.address) for call in alive if call is not None), *away))


def rejected(ledger: Ledger) -> frozenset[str]:
    """Every word of the names below REJECTED; a session's name among them says that something of it was not taken."""
    refs = ledger.repo.each_ref("%(refname)", REJECTED)
    return frozenset(word for (ref,) in refs for word in ref.removeprefix(REJECTED).split("/"))


def each(entries: Sequence[Entry], rejected: Collection[str] = ()) -> list[tuple[Entry, str]]:
    """Each session with why it needs a person, '' if it does not; as if no call ran.

    An archived session needs nobody, and an attempt does not if another one was picked.
    """
    outdone = {address for e in entries for row in e.rows for address in row.outdone}
    return [(e, _why(e, outdone, rejected)) for e in entries]


def at_work(needs: Iterable[tuple[Entry, str]], running: Collection[str]) -> list[tuple[Entry, str]]:
    """The same, without the requests that something works on."""
    return [(e, "" if why == DEAD and f"{e.name}/{e.rows[-1].id}" in running else why) for e, why in needs]


def _why(e: Entry, outdone: Collection[str], rejected: Collection[str]) -> str:
    if e.archived:
        return ""
    if e.fault:
        return "cannot be read"
    last = e.rows[-1] if e.rows else None
    why = _of(last) if last is not None and f"{e.name}/{last.id}" not in outdone else ""
    return why or ("rejected: what came from another clone" if e.name in rejected else "")


def _of(row: Row) -> str:
    if row.status == "pending":
        return DEAD
    if row.status == "error":
        return QUESTION if row.reason == NEEDS_INPUT else f"error:{row.reason or 'peer-error'}"
    if row.checks == 1:
        return "check-failed, claimed pass" if row.verify == "pass" else "check-failed"
    return "fail" if row.verify == "fail" else ""
