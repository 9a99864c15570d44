"""What `blame` and `why` print of a line: words, marks, the row as JSON."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Any, Final

from gitrelay.errors import UsageError
from gitrelay.ground.text import quote_path
from gitrelay.history import outcome
from gitrelay.history.exchange import Exchange
from gitrelay.provenance.lines import saying
from gitrelay.provenance.lines.blame import Blamed, Kind, Why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAPS: Final = {  # for the column of the address
    Why.NOT_ADDED: "-",
    Why.OLDER: "-",
    Why.NO_FILES: "?",
    Why.SHALLOW: "?",
}
SHORT: Final = {  # for the column of the outcome
    Why.NOT_ADDED: "not recorded",
    Why.OLDER: "older",
    Why.NO_FILES: "no files here",
    Why.SHALLOW: "history cut off",
}


def addresses(one: Blamed) -> str:
    """`a/01`, or all of several, the one that was answered first comes first."""
    return " | ".join(str(e.address) for e in one.exchanges) if one.exchanges else GAPS[one.why or Why.NOT_ADDED]


def mark(e: Exchange) -> str:
    """`✓ pass` if gitrelay checked it, `○ pass` if only the peer claims it; other outcomes as they are."""
    if e.outcome == outcome.PASS:
        return f"{'✓' if e.checked else '○'} {e.outcome}"
    return f"✗ {e.outcome}" if outcome.has_failed(e.outcome) else f"  {e.outcome}"


def standing(one: Blamed) -> str:
    """How the exchange ended, and in a word what makes the line less certain; or why nobody is named."""
    marks = [word for word, there in (("shared", one.shared), ("reflowed", one.reflowed)) if there]
    if one.kind is Kind.ONE:
        return " ".join([mark(one.exchanges[0]), *marks])
    return (
        " ".join(["overlap" if one.overlap else "several", *marks])
        if one.exchanges
        else SHORT[one.why or Why.NOT_ADDED]
    )


def reviewed(reviews: Sequence[Exchange]) -> str:
    """`✓ opus`, or `✗ opus`: the last verdict and who gave it; empty if there is none."""
    return f"{'✓' if reviews[0].outcome == outcome.PASS else '✗'} {reviews[0].to}" if reviews else ""


def day(e: Exchange) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(e.response.time if e.response else e.request.time))


def row(one: Blamed, others: Mapping[int, str], reviews: Sequence[Exchange]) -> dict[str, Any]:
    """A line as `blame --json` gives it; keys are stable (docs/json.md)."""
    e = one.exchanges[0] if one.kind is Kind.ONE else None
    response = e.response if e is not None else None
    commit = one.line.commit
    return {
        "line": one.number,
        "text": saying.text_of(one),
        "kind": one.kind,
        "why": one.why,
        "addresses": [str(found.address) for found in one.exchanges],
        "peer": e.to if e is not None else None,
        "model": response.model if response is not None else None,
        "outcome": e.outcome if e is not None else None,
        "checked": e.checked if e is not None else None,
        "responded": response.time if response is not None else None,
        "reflowed": one.reflowed,
        "overlap": one.overlap,
        "shared": list(one.shared),
        "reviews": [{"address": str(r.address), "to": r.to, "outcome": r.outcome} for r in reviews],
        "other": others.get(one.number),
        "commit": commit.oid or None,
        "commit_path": os.fsdecode(one.line.path).encode("utf-8", "replace").decode() if commit.oid else None,
        "commit_line": one.line.number if commit.oid else None,
    }


def beyond(path: str, last: int, have: int, name: str) -> UsageError:
    """The error for a line that the file does not have; `name` is the word that the file was named by."""
    return UsageError(
        f"{quote_path(path)} has {saying.count(have, 'line')}, and no line {last}",
        hint=f"git relay blame {shlex.quote(name)}",
    )
