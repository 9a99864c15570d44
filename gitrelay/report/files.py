"""The page of a file, as values: its lines in stretches of which the same is known.

Who wrote a line is not worked out here: the verbs hand in `Views`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gitrelay.history.exchange import Exchange

FOLDER: Final = "files"
_OTHER: Final = re.compile(r"[^A-Za-z0-9._-]+")


def page_of(path: str) -> str:
    """`files/app.py-1f0c….html`: the end of the path, and a hash of it, as a path may hold anything."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{FOLDER}/{_OTHER.sub('-', path.rpartition('/')[2])[-60:].lstrip('.-')}-{digest}.html"


@dataclass(frozen=True)
class Stretch:
    """Lines that come one after the other, from number `first` on.

    `kind`: one, several, none or unknown. `words`: why nobody is named, or what makes it less certain.
    `exchanges` wrote it, the one that was answered first comes first; `reviews` are the verdicts on it.
    """

    first: int
    lines: tuple[str, ...]
    kind: str
    words: str = ""
    exchanges: tuple[Exchange, ...] = ()
    reviews: tuple[Exchange, ...] = ()

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


@dataclass(frozen=True)
class View:
    """A file at `commit`. `notes` are about the whole; `fault` says why there is nothing to see, empty if there is."""

    path: str
    commit: str
    stretches: Sequence[Stretch] = ()
    notes: Sequence[str] = ()
    fault: str = ""


class Views(Protocol):
    """Where the pages of files come from."""

    def commit(self) -> str:
        """The commit whose files have a page, empty if there is none."""

    def pages(self) -> Mapping[str, str]:
        """path -> page of each file of that commit."""

    def view(self, path: str) -> View:
        """Who wrote each line of a file of that commit. Raises RelayError."""
