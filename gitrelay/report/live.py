"""The site as it stands now: pages made when they are asked for, and kept as long as what they show is the same.

Nothing is written, not even the end of a call whose supervisor has died. One question at a time is put to git; `state`
answers with what it knew last while another one takes long.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gitrelay import duration, history, names, transcripts
from gitrelay.events import Follower
from gitrelay.ledger import Ledger
from gitrelay.names import Address
from gitrelay.report import listing, turns
from gitrelay.report.listing import Entry
from gitrelay.report.markdown import one_line
from gitrelay.report.pages import Pages
from gitrelay.report.site import title_of
from gitrelay.state import Call, CallFolder

_PAGES_MAX: Final = 64  # session pages that are kept; one has some 100 kB
_FRESH: Final = 1.0  # seconds for which the refs are not looked at again
_PATIENCE: Final = 0.3  # seconds that `state` waits for another question to end


@dataclass(frozen=True)
class _Refs:
    """Every session's ref as it was at a moment. `version` changes when one of them does."""

    version: str
    tips: dict[str, str]
    at: float


class Live:
    """One repository's sessions, page by page. Safe to ask from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._site = title_of(ledger.repo)
        self._asking = threading.Lock()
        self._refs = _Refs("", {}, 0.0)
        self._following = threading.Lock()
        self._followers: dict[Address, tuple[Follower, str]] = {}  # a running call -> (its log, its last event)
        self._entries: dict[str, tuple[str, Entry]] = {}
        self._kept: OrderedDict[str, tuple[str, str, str]] = OrderedDict()  # page -> (of what, version, html)

    def state(self) -> str:
        """JSON: `version`, which changes when anything is recorded, and the calls that run: `address`, `words`."""
        if self._asking.acquire(timeout=_PATIENCE):
            try:
                self._look()
            finally:
                self._asking.release()
        return json.dumps({"version": self._refs.version, "running": self._running()})

    def index(self) -> str:
        """The page of all sessions. Only those that have changed since the last time are read."""
        with self._asking:
            refs = self._look()
            return self._page("index", refs.version, lambda pages: pages.index(self._all(refs)))

    def figures(self) -> str:
        with self._asking:
            refs = self._look()
            return self._page(
                "figures", refs.version, lambda pages: pages.figures_page(transcripts.read(self._ledger).exchanges)
            )

    def session(self, name: str) -> str | None:
        """The page of one session, None where there is none of that name."""
        with self._asking:
            refs = self._look()
            tip = refs.tips.get(name)
            if tip is None:
                return None

            def made(pages: Pages) -> str:
                return pages.session(turns.read(self._ledger, [name])[0][0])

            return self._page(f"session {name}", tip, made)

    def _look(self) -> _Refs:
        if time.monotonic() - self._refs.at >= _FRESH or not self._refs.version:
            text = transcripts.listing(self._ledger)
            tips: dict[str, str] = {}
            for line in text.splitlines():
                ref, _, oid = line.rpartition(" ")
                name = history.name_of(ref)
                if names.is_session(name):
                    tips.setdefault(name, f"{ref} {oid}")  # branches come before archived ones
            self._refs = _Refs(hashlib.sha256(text.encode()).hexdigest()[:16], tips, time.monotonic())
        return self._refs

    def _all(self, refs: _Refs) -> list[Entry]:
        new = [name for name, tip in refs.tips.items() if self._entries.get(name, ("",))[0] != tip]
        if new:
            for conversation in turns.read(self._ledger, new, with_changes=False)[0]:
                self._entries[conversation.name] = (refs.tips[conversation.name], listing.entry(conversation))
        self._entries = {name: self._entries[name] for name in refs.tips}
        return listing.latest_first(entry for _, entry in self._entries.values())

    def _page(self, page: str, of: str, make: Callable[[Pages], str]) -> str:
        """The page, made anew where what it shows is no longer `of`; it says which state of the whole it belongs to."""
        version = self._refs.version
        known = self._kept.get(page)
        if known is None or known[0] != of:
            known = (of, version, make(Pages(self._site, version)))
        # the body's own attribute is the first of that value
        html = known[2].replace(f'data-version="{known[1]}"', f'data-version="{version}"', 1)
        self._kept[page] = (of, version, html)
        self._kept.move_to_end(page)
        while len(self._kept) > _PAGES_MAX:
            self._kept.popitem(last=False)
        return html

    def _running(self) -> list[dict[str, str]]:
        """The calls that run now; of each log only what has come since the last question is read."""
        found = []
        with self._following:
            followers: dict[Address, tuple[Follower, str]] = {}
            for folder in self._ledger.state.calls():
                call = folder.load()
                if call is None or not folder.is_alive():
                    continue
                follower, last = self._followers.get(call.address) or (
                    Follower(self._ledger, call.address, call.to),
                    "",
                )
                last = (follower.lines() or [last])[-1]
                followers[call.address] = (follower, last)
                found.append({"address": str(call.address), "words": _words(call, folder, last)})
            self._followers = followers
        return found


def _words(call: Call, folder: CallFolder, last: str) -> str:
    """How a running call stands, in one line; `last` is what its peer said last."""
    now = time.time()
    parts = [f"{call.to} has been at work for {duration.render(max(0.0, now - call.started))}"]
    spoke = folder.last_output()
    if spoke is not None:
        parts.append(f"last output {duration.render(max(0.0, now - spoke))} ago")
    if call.limits.wall:
        parts.append(f"{duration.render(max(0.0, call.limits.wall - (now - call.started)))} left")
    return one_line(", ".join(parts) + (f": {last}" if last else "."), 300)
