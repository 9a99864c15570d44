"""The site as it is now: pages made when they are asked for, and kept as long as what they show is the same.

Nothing is written, not even the end of a call whose supervisor has died; who wrote the lines of a file is worked out
aside, by `views`, which keeps what git told it. One question at a time is put to git; `state`
answers with what it knew last while another one takes long. A reader that waits for news in `state` is
told within _PAUSE: so often the times of the refs' files are looked at, and git is asked if they have changed.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from gitrelay.calls.looking import Looker
from gitrelay.calls.peerlog import Follower
from gitrelay.errors import Busy, UsageError
from gitrelay.git import refstamp
from gitrelay.git.refstamp import Stamp
from gitrelay.ground import duration
from gitrelay.history import batch
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, STEPS, name_of
from gitrelay.report import attention, commits, listing, turns
from gitrelay.report.files import Views
from gitrelay.report.listing import Entry
from gitrelay.report.pages import Pages
from gitrelay.report.site import title_of
from gitrelay.report.words import one_line
from gitrelay.state.calls import Call, CallFolder

_T = TypeVar("_T")

_PAGES_MAX: Final = 64  # session pages that are kept; one has some 100 kB
_FILES_MAX: Final = 8  # pages of files that are kept; one has some MB
_FILE_WAIT: Final = 10.0  # seconds that one who asks for a file waits for another one
_PAUSE: Final = 0.05  # seconds between two looks at the times of the refs' files while somebody waits for news
_COARSE: Final = 2.0  # seconds that a file system may take for one moment: so long after a change git is asked again
_AGAIN: Final = 0.25  # seconds between two of these questions
_FRESH: Final = 10.0  # seconds for which the files are believed, as something may write a ref in place
_WAIT: Final = 10.0  # seconds that `state` waits for news, less than a reader is given to take an answer
_RUNNING_WAIT: Final = 1.0  # the same while calls run: what is said of them changes by the second
_PATIENCE: Final = 0.3  # seconds that `state` waits for another question to end


@dataclass(frozen=True)
class _Refs:
    """Every session's ref as it was at a moment. `version` changes when one of them does."""

    version: str
    tips: dict[str, str]
    at: float
    stamp: Stamp = ()
    settled: bool = False  # whether the last change was so long ago that the next one has another time


class Live:
    """One repository's sessions, page by page. Safe to ask from several threads.

    `answers` is the page that takes answers to questions, empty if the site has none; without `views` no file has a
    page. Raises UsageError if `relay.commitUrl` is bad.
    """

    def __init__(self, ledger: Ledger, answers: str = "", views: Views | None = None) -> None:
        self._ledger = ledger
        self._answers = answers
        self._views = views
        self._viewing = threading.Lock()
        self._viewed: OrderedDict[str, tuple[str, str]] = OrderedDict()  # page of a file -> (of what, html)
        self._site = title_of(ledger.repo)
        self._commits = commits.template(ledger.repo)
        self._asking = threading.Lock()
        self._refs = _Refs("", {}, 0.0)
        self._following = threading.Lock()
        self._looker = Looker(ledger)
        self._followers: dict[Address, tuple[Follower, str]] = {}  # a running call -> (its log, its last event)
        self._entries: dict[str, tuple[str, Entry]] = {}
        self._kept: OrderedDict[str, tuple[str, str, str]] = OrderedDict()  # page -> (of what, version, html)

    def state(self, after: str = "") -> str:
        """JSON: `version`, which changes when anything is recorded, and the calls that run: `address`, `words`.

        It waits until the version is another one than `after`, for some seconds at most.
        """
        begun = time.monotonic()
        running = self._running()
        limit = _RUNNING_WAIT if running else _WAIT
        while True:
            if self._is_due() and self._asking.acquire(timeout=_PATIENCE):
                try:
                    self._look()
                finally:
                    self._asking.release()
            version = self._refs.version
            if version != after or time.monotonic() - begun >= limit:
                return json.dumps({"version": version, "running": self._running()})
            time.sleep(_PAUSE)

    def index(self) -> str:
        """The page of all sessions. Only those that have changed since the last time are read."""

        def answer(refs: _Refs) -> str:
            running = attention.running(self._ledger)

            def made(pages: Pages) -> tuple[str, bool]:
                entries = self._all(refs)
                page = pages.index(entries, running, attention.rejected(self._ledger))
                return page, not any(entry.fault for entry in entries)

            return self._page("index", " ".join((refs.version, *sorted(running))), made)

        return self._ask(answer)

    def figures(self) -> str:
        def made(pages: Pages) -> tuple[str, bool]:
            found = batch.read(self._ledger)
            return pages.figures_page(found.exchanges), not found.damaged

        return self._ask(lambda refs: self._page("figures", refs.version, made))

    def session(self, name: str) -> str | None:
        """The page of one session, None if there is none of that name."""

        def made(pages: Pages) -> tuple[str, bool]:
            (conversation,), _ = turns.read(self._ledger, [name])
            return pages.session(conversation), not conversation.fault

        def answer(refs: _Refs) -> str | None:
            if name not in refs.tips:
                return None
            # attempts and the reviews of a loop are drawn on the page too
            tips = [tip for other, tip in refs.tips.items() if other == name or other.startswith(f"{name}-")]
            head = self._views.commit() if self._views is not None else ""
            return self._page(f"session {name}", " ".join([*tips, head]), made)

        return self._ask(answer)

    def file(self, page: str) -> str | None:
        """The page of a file of HEAD, None if there is none of that name. One at a time is worked out.

        Raises Busy if another one takes long, and what `Views.view` raises.
        """
        if self._views is None:
            return None
        refs = self._ask(lambda refs: refs)
        if not self._viewing.acquire(timeout=_FILE_WAIT):
            raise Busy("another file is being looked at", hint="try again in a moment")
        try:
            path = next((path for path, one in self._views.pages().items() if one == page), None)
            if path is None:
                return None
            of = f"{self._views.commit()} {refs.version}"
            known = self._viewed.pop(page, None)
            if known is None or known[0] != of:
                pages = Pages(self._site, there=refs.tips.keys(), commits=self._commits)
                known = of, pages.file(self._views.view(path))
            self._viewed[page] = known
            while len(self._viewed) > _FILES_MAX:
                self._viewed.popitem(last=False)
            return known[1]
        finally:
            self._viewing.release()

    def _ask(self, answer: Callable[[_Refs], _T]) -> _T:
        """The answer by the refs as they are; once more if a session has gone since they were read."""
        with self._asking:
            try:
                return answer(self._look())
            except UsageError:
                return answer(self._look(again=True))

    def _look(self, *, again: bool = False) -> _Refs:
        if again or self._is_due():
            stamp = self._stamp()  # before git looks: what comes between is another time
            settled = time.time() - refstamp.newest(stamp) > _COARSE
            text = batch.listing(self._ledger, STEPS)
            tips: dict[str, str] = {}
            steps: dict[str, str] = {}
            for line in text.splitlines():
                ref, _, oid = line.rpartition(" ")
                name = name_of(ref)
                if ref.startswith(STEPS):
                    steps[ref.removeprefix(STEPS)] = oid
                elif names.is_session(name):
                    tips.setdefault(name, f"{ref} {oid}")  # branches come before archived ones
            tips |= {name: f"{tips[name]} {oid}" for name, oid in steps.items() if name in tips}
            self._refs = _Refs(hashlib.sha256(text.encode()).hexdigest()[:16], tips, time.monotonic(), stamp, settled)
        return self._refs

    def _is_due(self) -> bool:
        """Whether the refs may be others than those that are known."""
        known, age = self._refs, time.monotonic() - self._refs.at
        if not known.version or age >= _FRESH or self._stamp() != known.stamp:
            return True
        return not known.settled and age >= _AGAIN

    def _stamp(self) -> Stamp:
        return refstamp.stamp(self._ledger.repo.common_dir, (BRANCHES, ARCHIVE, STEPS))

    def _all(self, refs: _Refs) -> list[Entry]:
        known = {name for name, (tip, entry) in self._entries.items() if tip == refs.tips.get(name) and not entry.fault}
        new = [name for name in refs.tips if name not in known]
        if new:
            for conversation in turns.read(self._ledger, new, with_changes=False)[0]:
                self._entries[conversation.name] = (refs.tips[conversation.name], listing.entry(conversation))
        self._entries = {name: self._entries[name] for name in refs.tips}
        return listing.latest_first(entry for _, entry in self._entries.values())

    def _page(self, page: str, of: str, make: Callable[[Pages], tuple[str, bool]]) -> str:
        """The page, made again if what it shows is no longer `of`; it says which state of the whole it belongs to.

        `make` says too whether all of it could be read: what is damaged is read again at the next question.
        """
        version = self._refs.version
        known = self._kept.pop(page, None)
        if known is None or known[0] != of:
            files = self._views.pages() if self._views is not None else {}
            html, whole = make(Pages(self._site, version, self._answers, self._refs.tips.keys(), self._commits, files))
            if not whole:
                return html
        else:
            # the body's own attribute is the first of that value
            html = known[2].replace(f'data-version="{known[1]}"', f'data-version="{version}"', 1)
        self._kept[page] = (of, version, html)
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
            for away in self._looker.away():
                words = one_line(f"{away.peer} at {away.remote}: {away.said}", 300)
                found.append({"address": str(away.address), "words": words})
        return found


def _words(call: Call, folder: CallFolder, last: str) -> str:
    """The state of a running call, in one line; `last` is what its peer said last."""
    now = time.time()
    parts = [f"{call.to} has been at work for {duration.render(max(0.0, now - call.started))}"]
    spoke = folder.last_output()
    if spoke is not None:
        parts.append(f"last output {duration.render(max(0.0, now - spoke))} ago")
    if call.limits.wall:
        parts.append(f"{duration.render(max(0.0, call.limits.wall - (now - call.started)))} left")
    return one_line(", ".join(parts) + (f": {last}" if last else "."), 300)
