"""What happened in a repository while a call ran, and whether another call of gitrelay may have done it.

Guilt and overlap are told apart: what changed under read access is the peer's doing unless another call could
write at that time. A person who works in the same tree cannot be told from the peer, so that counts as the peer's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gitrelay.calls import readonly
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address
from gitrelay.protocol.words import Access, Sandbox
from gitrelay.state import writers
from gitrelay.state.calls import Call
from gitrelay.state.folder import State
from gitrelay.state.writers import Writer

_SHARED_MAX: Final = 20  # addresses in the trailer


@dataclass(frozen=True)
class Seen:
    """`sandbox` is None for a call that may write. `shared` are addresses of calls that could write here meanwhile."""

    sandbox: Sandbox | None
    changed: list[str]
    shared: str
    notes: list[str]


class Overlap:
    """Which other calls can write, from now on."""

    def __init__(self, state: State, own: Address, top: str) -> None:
        self._state, self._own, self._top = state, own, top
        self._begin = time.time()
        self._before = writers.running(state, own)

    def others(self) -> set[Writer]:
        """Those that could write at any time since then."""
        ended = writers.ended_since(self._state, self._own, self._begin)
        return self._before | writers.running(self._state, self._own) | ended

    def here(self, others: set[Writer]) -> list[str]:
        """The addresses of those in the same working tree."""
        return sorted(other.address for other in others if other.top == self._top)

    def trailer(self) -> str:
        return " ".join(self.here(self.others())[:_SHARED_MAX])


class Watch:
    """What the repository was like when a call began, and which calls could write then."""

    def __init__(self, ledger: Ledger, call: Call) -> None:
        self._repo = ledger.repo
        self._call = call
        self._overlap = Overlap(ledger.state, call.address, call.place)
        self._before = readonly.take(ledger.repo) if call.access == Access.READ else None
        self._inside = (
            readonly.files_in(ledger.repo, call.workspace) if call.workspace and self._before is not None else None
        )

    def seen(self, refused: Sequence[str]) -> Seen:
        """What is to be recorded; `refused` is what the call asked for and was not given."""
        asked = [f"it was refused more access: {what}" for what in refused]
        if self._before is None:
            return Seen(None, [], self._overlap.trailer(), asked)
        fault = self._before.fault or (self._inside.fault if self._inside is not None else "")
        if fault:
            why = f"whether anything changed cannot be told: {fault}"
            sandbox = Sandbox.VIOLATED if asked else Sandbox.UNKNOWN
            return Seen(sandbox, [*asked, why], self._overlap.trailer(), [why])
        after = readonly.take(self._repo)
        others = self._overlap.others()  # asked after the comparison: a call that began during it may be why
        changes = readonly.compare(self._repo, self._before, after, self._call.session)
        if self._inside is not None:
            inside = readonly.files_in(self._repo, self._call.workspace)
            changes = replace(changes, inside=readonly.compare_files(self._inside, inside))
        named = changes.named()
        sandbox = Sandbox.VIOLATED if asked else self._judged(changes, others)
        notes = []
        if sandbox == Sandbox.UNKNOWN:
            by = ", ".join(sorted(other.address for other in others)) or "people who go on working"
            notes.append(f"changed while it worked: {'; '.join(named)}; by whom cannot be told, next to {by}")
        return Seen(sandbox, [*named, *asked], " ".join(self._overlap.here(others)[:_SHARED_MAX]), notes)

    def _judged(self, changes: readonly.Changes, others: set[Writer]) -> Sandbox:
        if not changes:
            return Sandbox.HELD
        if changes.never or changes.inside:
            return Sandbox.VIOLATED
        if self._inside is not None and not changes.shared:
            return Sandbox.UNKNOWN  # somebody goes on in the caller's tree, which the peer was not given
        if self._call.bound or self._overlap.here(others) or (others and not changes.here):
            return Sandbox.UNKNOWN
        return Sandbox.VIOLATED
