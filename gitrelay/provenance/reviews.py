"""Which reviews looked at a commit, and at an exchange: told from what each review is bound to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.history.exchange import Exchange
from gitrelay.protocol.record import BINDING

_LOOKED_AT: Final = 20  # reviews, the newest first; each takes one or two git processes


def of_commit(repo: Repository, commit: str, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """The reviews, answered ones, whose commits hold `commit`; the newest first."""
    bound = [e for e in exchanges if e.response is not None and e.request.trailers.get(BINDING + "Head")]
    bound.sort(key=lambda e: -e.request.time)
    return [e for e in bound[:_LOOKED_AT] if _holds(repo, e, commit)]


def _holds(repo: Repository, e: Exchange, commit: str) -> bool:
    base, head = (e.request.trailers.get(BINDING + word, "") for word in ("Base", "Head"))
    words = [f"^{base}"] if base and base != "none" else []
    if not all(word.strip("^").isalnum() for word in (head, *words)):
        return False
    try:
        outside = repo.run("rev-list", "--max-count=1", commit, f"^{head}", "--")
        return not outside and bool(repo.run("rev-list", "--max-count=1", commit, *words, "--"))
    except GitError:  # its commits are not here
        return False


def of_loop(e: Exchange, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """The first review of the same loop after the exchange, if it is a round of one."""
    session = f"{e.address.session}-review"
    answered = e.response.time if e.response else 0
    later = [r for r in exchanges if r.address.session == session and r.response and r.request.time >= answered]
    return sorted(later, key=lambda r: r.request.time)[:1]
