"""The attempts of a group, for a page that shows them side by side with what each of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gitrelay.calls.group import is_group
from gitrelay.history import batch
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer
from gitrelay.report import changes
from gitrelay.report.changes import Changes


@dataclass(frozen=True)
class Side:
    """One attempt. `changes` is None if they are not recorded, or not here; `equal` is an earlier one with its tree.

    `why` says why it was picked, empty if it was not.
    """

    exchange: Exchange
    changes: Changes | None
    equal: Address | None = None
    why: str = ""

    @property
    def contradicted(self) -> bool:
        """Whether the peer claimed pass, and a check of gitrelay itself did not."""
        return self.exchange.verify == "pass" and bool(self.exchange.failed_checks)


def trees(e: Exchange) -> tuple[str, str] | None:
    """The trees of the caller's files before and after, None if one of them is not recorded."""
    if e.response is None:
        return None
    before, after = (commit.tree or "" for commit in (e.request, e.response))
    return (before, after) if names.is_object_id(before) and names.is_object_id(after) else None


def read(ledger: Ledger, exchanges: Sequence[Exchange]) -> Mapping[Address, tuple[Side, ...]]:
    """The attempts of each group that is among `exchanges` and has ended."""
    groups = {e.address: members for e in exchanges if (members := named(e))}
    there = _there(ledger, {one.session for members in groups.values() for one in members})
    turns = {e.address: e for e in batch.read(ledger, there).exchanges} if there else {}
    pairs = {address: pair for address, e in turns.items() if (pair := trees(e)) is not None}
    wanted = [pairs[one] for members in groups.values() for one in members if one in pairs]
    changed = changes.read(ledger.repo, wanted)
    found = {}
    for e in exchanges:
        sides: list[Side] = []
        first: dict[str, Address] = {}
        for address in groups.get(e.address, ()):
            if address in turns:
                pair = pairs.get(address)
                one = Side(turns[address], changed.get(pair) if pair else None, why=_why(e, address))
                earlier = first.setdefault(pair[1], address) if pair else address
                sides.append(replace(one, equal=earlier) if earlier != address else one)
        if sides:
            found[e.address] = tuple(sides)
    return found


def named(e: Exchange) -> list[Address]:
    """The attempts that the end of a group names; none of an exchange that is no group, or has not ended."""
    if not is_group(e) or e.response is None:
        return []
    words = e.response.trailers.get(Trailer.ATTEMPTS, "").split()
    return [names.parse_address(word) for word in words if names.is_address(word)]


def _why(e: Exchange, address: Address) -> str:
    word, _, why = (e.response.trailers.get(Trailer.PICKED, "") if e.response else "").partition(" ")
    return (why or "picked") if word == str(address) else ""


def _there(ledger: Ledger, sessions: set[str]) -> list[str]:
    """Those of `sessions` that are in this clone, and whole."""
    wanted = sorted(sessions)
    tips = ledger.tips([prefix + name for prefix in (BRANCHES, ARCHIVE) for name in wanted])
    both = zip(wanted, tips[: len(wanted)], tips[len(wanted) :], strict=True)
    return [name for name, tip, shelved in both if tip is not None or shelved is not None]
