"""Attempts side by side: what each came to, in figures that can be compared, and which one a rule picks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gitrelay.git import userfiles
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.history.outcome import PASS, shown
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import usage
from gitrelay.protocol.names import Address


@dataclass(frozen=True)
class Candidate:
    """One attempt. Counts are None if its files are not recorded; `tokens` and `cost` (USD) if it told none.

    `equal` is the first attempt with the same tree.
    """

    exchange: Exchange
    before: str
    tree: str
    files: int | None
    added: int | None
    deleted: int | None
    seconds: float | None
    tokens: int | None
    cost: float | None
    equal: Address | None = None

    @property
    def address(self) -> Address:
        return self.exchange.address

    @property
    def passed(self) -> bool:
        return self.exchange.outcome == PASS

    @property
    def lines(self) -> int:
        return (self.added or 0) + (self.deleted or 0)

    def to_json(self) -> dict[str, Any]:
        e = self.exchange
        return {
            "address": str(e.address),
            "peer": e.to,
            "outcome": e.outcome,
            "checked": e.checked,
            "checks": [{"command": c.command, "result": c.word} for c in e.checks],
            "files": self.files,
            "added": self.added,
            "deleted": self.deleted,
            "duration_s": self.seconds,
            "tokens": self.tokens,
            "cost_usd": self.cost,
            "tree": self.tree or None,
            "equal_to": str(self.equal) if self.equal else None,
            "applied": any(a.word == "applied" for a in e.applies),
        }


HEAD = ("ATTEMPT", "OUTCOME", "CHECKS", "FILES", "LINES", "TIME", "TOKENS", "COST", "TREE")


def row(one: Candidate) -> list[str]:
    """The cells of a table below HEAD."""
    checks = one.exchange.checks
    passed = sum(check.word == "pass" for check in checks)
    return [
        str(one.address),
        shown(one.exchange.outcome, one.exchange.checked),
        f"{passed} of {len(checks)}" if checks else "-",
        "-" if one.files is None else str(one.files),
        "-" if one.files is None else f"+{one.added} -{one.deleted}",
        "-" if one.seconds is None else f"{one.seconds:.0f}s",
        "-" if one.tokens is None else str(one.tokens),
        "-" if one.cost is None else f"${one.cost:.2f}",
        f"= {one.equal}" if one.equal else one.tree[:12] or "-",
    ]


def read(ledger: Ledger, addresses: Sequence[Address]) -> list[Candidate]:
    """The attempts at `addresses` with their figures; what changed in all of them is asked of one git process."""
    turns = [exchanges.exchange(ledger, address) for address in addresses]
    trees = [_trees(turn) for turn in turns]
    known = list(dict.fromkeys(pair for pair in trees if all(pair)))
    changes = dict(zip(known, userfiles.each_changes(ledger.repo, known), strict=True))
    found: list[Candidate] = []
    first: dict[str, Address] = {}
    for turn, pair in zip(turns, trees, strict=True):
        one = _candidate(turn, pair, changes.get(pair))
        if one.tree:
            earlier = first.setdefault(one.tree, one.address)
            one = replace(one, equal=earlier if earlier != one.address else None)
        found.append(one)
    return found


def _trees(e: Exchange) -> tuple[str, str]:
    """The trees before and after an attempt, '' for one that is not recorded."""
    return e.request.tree or "", (e.response.tree or "") if e.response else ""


def _candidate(e: Exchange, trees: tuple[str, str], changes: Sequence[userfiles.Blobs] | None) -> Candidate:
    response = e.response
    before, tree = trees
    files = added = deleted = None
    if changes is not None:
        files = len(changes)
        added = sum(one.change.added or 0 for one in changes)
        deleted = sum(one.change.deleted or 0 for one in changes)
    seconds = usage.amount(response.duration) if response else None
    used = usage.parse((response.usage if response else None) or "")
    tokens = [int(used[name]) for name in ("input", "output") if name in used]
    cost = used.get("cost_usd")
    return Candidate(
        e,
        before,
        tree,
        files,
        added,
        deleted,
        None if seconds is None else float(seconds),
        sum(tokens) if tokens else None,
        None if cost is None else float(cost),
    )


def pick(found: Sequence[Candidate], rule: str) -> tuple[Candidate | None, str]:
    """(the attempt that `rule` (check, smallest, first) picks, why). Nobody is picked if none has passed."""
    passed = [one for one in found if one.passed]
    if rule == "check":
        passed = [one for one in passed if one.exchange.checked]
    if not passed:
        return None, "none passed" if rule != "check" else "none passed its checks"
    if rule == "smallest":
        best = min(passed, key=lambda one: (one.lines, one.files or 0))
        return best, f"smallest: {best.lines} lines changed"
    if rule == "first":
        best = min(passed, key=lambda one: one.exchange.response.time if one.exchange.response else 0)
        return best, "first: it passed before the others"
    return passed[0], f"check: {len(passed)} of {len(found)} passed their checks, and it is the first of them"
