"""What the gate says: the same words in `check`, in the hook and in JSON."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from gitrelay.gate import verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import Verdict
from gitrelay.ground.text import plain, quote
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger


@dataclass(frozen=True)
class Words:
    """What the commands in a hint are made of. `reviewer` is None if none is configured or was named."""

    change: Change
    remote: str
    reviewer: str | None

    @property
    def named(self) -> str:
        """The change as it is named on a command line, quoted for a shell; a blank before it."""
        return "".join(f" {shlex.quote(plain(word))}" for word in self.change.words)

    def review(self) -> str:
        return f"git relay review --to {self.reviewer or 'PEER'}{self.named}"


def line(change: Change, found: Verdict) -> str:
    """`main 1a2b3c4d5e6f: passed: codex says pass (review-main/01)`."""
    through = f", and {', '.join(str(r.address) for r in found.through)} before it" if found.through else ""
    return f"{quote(change.branch)[1:-1]} {change.head[:12]}: {found.state}: {found.why}{through}"


def findings(ledger: Ledger, found: Verdict) -> str:
    """The answer's body if it is a reason to stop, '' elsewhere."""
    if found.state not in (verdict.FAILED, verdict.UNEVALUATED) or found.review is None:
        return ""
    answer = exchanges.exchange(ledger, found.review.address).answer
    return answer.body.strip() if answer is not None else ""


def next_step(words: Words, found: Verdict) -> str:
    """The commands that help if the change may not go."""
    change = words.change
    address = str(found.review.address) if found.review is not None else ""
    refs = "'refs/heads/relay/review-*:refs/heads/relay/review-*'"
    return {
        verdict.FAILED: f'fix it, commit, push again; or: git relay bypass --reason "WHY"{words.named}',
        verdict.RUNNING: f"follow it: git relay tail {address or f'{change.session}/ID'}; push again when it is done",
        verdict.UNEVALUATED: f"{words.review()}; what happened: git relay show {address or change.session}",
        verdict.NOTHING_NEW: "commit first, or name another start: git relay check --base REF",
        verdict.SHALLOW: f"git fetch --unshallow {shlex.quote(plain(words.remote))}",
        verdict.NOT_FETCHED: f"git fetch {shlex.quote(plain(words.remote))} {refs}",
    }.get(found.state, words.review())


def row(change: Change, found: Verdict, *, stops: bool | None = None) -> dict[str, Any]:
    """One change as the envelope's data gives it; keys are stable (docs/json.md)."""
    value: dict[str, Any] = {
        "branch": change.branch,
        "base": change.base,
        "head": change.head,
        "tree": change.tree,
        "policy": change.policy,
        "state": found.state,
        "why": found.why,
        "address": str(found.review.address) if found.review is not None else None,
        "reviewer": found.review.reviewer if found.review is not None else None,
    }
    return value if stops is None else value | {"stops": stops}


def error(words: Words, found: Verdict) -> dict[str, str]:
    code = found.state.replace(" ", "-")
    return {"code": code, "message": line(words.change, found), "hint": next_step(words, found)}
