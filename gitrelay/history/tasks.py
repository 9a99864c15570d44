"""What an exchange was about, in the words of its request's subject. Pure, no I/O."""

from __future__ import annotations

from typing import Final

from gitrelay.history.exchange import Exchange
from gitrelay.protocol.record import BINDING

_REVIEW: Final = "review-"  # begins the session of a branch's reviews
_BASE: Final = BINDING + "Base"
_HEAD: Final = BINDING + "Head"


def task_shown(e: Exchange) -> str:
    """The first words of the task; of a review its branch and its commits, since its task is always the same."""
    head = e.request.trailers.get(_HEAD, "")
    if not head:
        return e.request.subject.partition(": ")[2]
    base = e.request.trailers.get(_BASE, "")
    commits = f"{base[:10]}..{head[:10]}" if base != "none" else f"all of {head[:10]}"
    return f"review of {e.address.session.removeprefix(_REVIEW)}: {commits}"
