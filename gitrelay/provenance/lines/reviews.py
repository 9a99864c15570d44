"""Which verdicts there are on a commit and on an exchange: told from what each review is bound to.

A review that gave no verdict counts for nothing, and neither does the exception of a person who let a commit through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.history import loops
from gitrelay.history.exchange import Exchange
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BINDING, Trailer

_LOOKED_AT: Final = 20  # reviews, the newest first; each takes one git process
_COMMITS_MOST: Final = 20_000  # of one review


class Reviews:
    """The reviews among `exchanges`, which are asked of git only as far as a line needs them."""

    def __init__(self, repo: Repository, exchanges: Sequence[Exchange]) -> None:
        self._repo = repo
        self._bound: list[Exchange] = []
        self._rounds: dict[tuple[str, int], list[Exchange]] = {}
        for e in exchanges:
            if not _is_verdict(e):
                continue
            if e.request.trailers.get(BINDING + "Head"):
                self._bound.append(e)
            place = loops.place_of(e)
            if place is not None and place[2] == "review":
                self._rounds.setdefault(place[:2], []).append(e)
        self._bound.sort(key=lambda e: -e.request.time)
        self._commits: dict[Address, frozenset[str]] = {}
        self._known: dict[tuple[tuple[Address, ...], str], tuple[Exchange, ...]] = {}

    def of_line(self, exchanges: Sequence[Exchange], commit: str) -> tuple[Exchange, ...]:
        """The verdicts on its exchange, if it is one, and on its commit, '' if it has none; the newest first."""
        key = tuple(e.address for e in exchanges), commit
        if key not in self._known:
            found = self.of_exchange(exchanges[0]) if len(exchanges) == 1 else []
            found += [e for e in self._bound[:_LOOKED_AT] if commit and commit in self._covered(e)]
            found.sort(key=lambda e: -(e.response.time if e.response else 0))
            self._known[key] = tuple({e.address: e for e in found}.values())
        return self._known[key]

    def of_exchange(self, e: Exchange) -> list[Exchange]:
        """The reviews of the round of a loop in which it was the work."""
        place = loops.place_of(e)
        return list(self._rounds.get(place[:2], ())) if place is not None and place[2] == "build" else []

    def _covered(self, review: Exchange) -> frozenset[str]:
        if review.address not in self._commits:
            self._commits[review.address] = self._between(review)
        return self._commits[review.address]

    def _between(self, review: Exchange) -> frozenset[str]:
        """The commits that it was about; none if they are not here."""
        base, head = (review.request.trailers.get(BINDING + word, "") for word in ("Base", "Head"))
        words = [head, *([f"^{base}"] if base not in ("", "none") else [])]
        if not all(names.is_object_id(word.removeprefix("^")) for word in words):
            return frozenset()
        try:
            out = self._repo.run("rev-list", f"--max-count={_COMMITS_MOST}", *words, "--")
        except GitError:
            return frozenset()
        return frozenset(out.decode("ascii", "replace").split())


def _is_verdict(e: Exchange) -> bool:
    trailers = e.response.trailers if e.response is not None else {}
    return e.status == "done" and e.verify in ("pass", "fail") and Trailer.BYPASS not in trailers
