"""Notes what a peer does while it runs, if `relay.steps` allows it, and records it after the answer."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from gitrelay.errors import RelayError
from gitrelay.ledger import stepsref
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import registry
from gitrelay.peers.base import Reader
from gitrelay.peers.doing import Doing, Ended
from gitrelay.peers.events import EventReader, clean
from gitrelay.protocol.steps import FIRST, LAST, Step, Steps
from gitrelay.state.calls import Call

_OPEN: Final = 1000  # steps that have begun and not ended
_WHAT: Final = 4000  # characters that are held of a step until it is redacted


class Notes:
    """The steps of one turn so far: at most FIRST of its beginning and LAST of its end are held. Never raises."""

    def __init__(self, doing: Callable[[dict[str, Any]], Iterable[Doing]]) -> None:
        self._doing = doing
        self._begin = time.monotonic()
        self._first: list[list[Any]] = []  # at, kind, what, exit, ok
        self._last: deque[list[Any]] = deque(maxlen=LAST)
        self._open: OrderedDict[str, list[Any]] = OrderedDict()
        self._seen = 0

    def take(self, event: dict[str, Any]) -> None:
        """One event of the peer's."""
        with contextlib.suppress(Exception):  # of unknown shape; a call does not end for the sake of a note
            for one in self._doing(event):
                self._note(one)

    def listen(self, reader: Reader) -> None:
        """Take every event that `reader` reads from now on; none if it reads no events."""
        if isinstance(reader, EventReader):
            reader.tap = self.take

    def _note(self, one: Doing) -> None:
        if isinstance(one, Ended):
            row = self._open.pop(one.key, None)
            if row is not None:
                row[3], row[4] = one.exit, one.ok
            return
        if one.key is not None and one.key in self._open:
            return  # told twice
        if not one.what.strip():
            return
        row = [round(time.monotonic() - self._begin, 1), one.kind, clean(one.what[:_WHAT]), one.exit, one.ok]
        self._seen += 1
        (self._first if len(self._first) < FIRST else self._last).append(row)
        if one.key is not None:
            self._open[one.key] = row
            while len(self._open) > _OPEN:
                self._open.popitem(last=False)

    def of(self, call: Call) -> Steps:
        kept = [*list(self._first), *list(self._last)]  # copies: a reader may still be at work
        return Steps(call.id, call.to, tuple(Step(*row) for row in kept), max(0, self._seen - len(kept)))


def notes(ledger: Ledger, call: Call) -> Notes | None:
    """None if this peer prints no events."""
    doing = registry.doing(ledger.repo, call.to)
    return Notes(doing) if doing is not None else None


def record(ledger: Ledger, call: Call, steps: Steps | None) -> None:
    """Record what the peer did, after its answer. Never raises: it is lost then, and nothing else is."""
    if steps is not None and steps.steps:
        with contextlib.suppress(RelayError, OSError):
            stepsref.append(ledger, call.session, steps)
