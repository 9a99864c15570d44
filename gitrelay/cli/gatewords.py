"""What the gate says: the same words in `check`, in the hook and in JSON."""

from __future__ import annotations

from typing import Any

from gitrelay.gate import verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import Verdict
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.text import quote


def line(change: Change, found: Verdict) -> str:
    """`main 1a2b3c4d5e6f: passed: codex says pass (review-main/01)`."""
    through = f", and {', '.join(str(r.address) for r in found.through)} before it" if found.through else ""
    return f"{quote(change.branch)[1:-1]} {change.head[:12]}: {found.state}: {found.why}{through}"


def findings(ledger: Ledger, found: Verdict) -> str:
    """The answer's body where it is a reason to stop, '' elsewhere."""
    if found.state not in (verdict.FAILED, verdict.UNEVALUATED) or found.review is None:
        return ""
    answer = exchanges.exchange(ledger, found.review.address).answer
    return answer.body.strip() if answer is not None else ""


def next_step(change: Change, found: Verdict) -> str:
    """What to do where the change may not go."""
    address = str(found.review.address) if found.review is not None else ""
    branch = change.branch if names.is_slug(change.branch) else quote(change.branch)
    return {
        verdict.FAILED: 'mend it, commit, push again; or: git relay bypass --reason "..."',
        verdict.MISSING: f"git relay review {branch}",
        verdict.STALE: f"git relay review {branch}",
        verdict.REFUSED: f"git relay review {branch}",
        verdict.RUNNING: f"follow it: git relay tail {address or f'{change.session}/ID'}; push again when it is done",
        verdict.UNEVALUATED: f"git relay review {branch}; what happened: git relay show {address or change.session}",
    }[found.state]


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


def error(change: Change, found: Verdict) -> dict[str, str]:
    code = found.state.replace(" ", "-")
    return {"code": code, "message": line(change, found), "hint": next_step(change, found)}
