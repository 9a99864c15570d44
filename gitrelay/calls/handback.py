"""The last short turn of a call whose budget is used up: its peer says what is done and what is open. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from gitrelay.calls.outcome import Outcome
from gitrelay.process.values import Limits

PROMPT: Final = (
    "The budget of this call is used up, and you were stopped. Use no tools and change nothing any more. Say in at "
    "most ten lines what is done, what is open, and what should be done next. Status is done, verify is skip.\n"
)
LIMITS: Final = Limits(wall=180.0, idle=90.0, first_output=90.0)
LOG: Final = "hand-back"  # beside the logs of the call: what it printed before is not written over
_MOST: Final = 8000  # characters


def added(outcome: Outcome, said: str) -> Outcome:
    """`outcome` with what the peer said in its last turn at the end of the body."""
    if not said.strip():
        return replace(outcome, notes=(*outcome.notes, "the peer was asked what is done, and said nothing"))
    body = (
        f"{outcome.response.body.rstrip()}\n\nHanded back by the peer, after the budget was used up:\n\n{said[:_MOST]}"
    )
    return replace(outcome, response=replace(outcome.response, body=body))


def together(usage: Mapping[str, str], last: Mapping[str, str], cumulative: tuple[str, ...]) -> dict[str, str]:
    """What the call and its last turn used; a figure in `cumulative` holds the call already."""
    both = dict(usage)
    for name, value in last.items():
        before = "0" if name in cumulative else usage.get(name, "0")
        both[name] = str(Decimal(before) + Decimal(value))
    return both
