"""A peer's live events as short lines, read from its log while it runs.

The log is what the peer printed; a peer with structured events says how one of them reads (`describe` in its
module), any other peer's lines are shown as they are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from gitrelay.ground.text import plain
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import registry
from gitrelay.protocol.names import Address
from gitrelay.state.calls import CallFolder

_CHUNK: Final = 64 * 1024
_WIDTH: Final = 160  # characters of one line
_LINE_MAX: Final = 1024 * 1024  # a longer event is skipped; it would be a whole file in one tool result


class Follower:
    """What the peer of one exchange has printed since the last question. Nothing it reads is trusted.

    `written` is when the log was last written to as of the last question, seconds since the epoch, None if there was
    none: the lines that the question gave are not younger.
    """

    def __init__(self, ledger: Ledger, address: Address, peer: str) -> None:
        self._running = ledger.state.call(address.session)
        self._ended = ledger.state.log_path(address, "out")
        self._address = address
        self._describe = registry.describer(ledger.repo, peer)
        self.written: float | None = None
        self._at = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines that came since the last call, oldest first."""
        found: list[str] = []
        while data := self._more():
            *whole, self._rest = (self._rest + data).split(b"\n")
            found += [text for text in map(self._line, whole) if text]
            if len(self._rest) > _LINE_MAX:
                self._rest = b""
        return found

    def _more(self) -> bytes:
        for path in (self._log(self._running), self._ended):
            try:
                with path.open("rb") as f:
                    f.seek(self._at)
                    data = f.read(_CHUNK)
                    self.written = os.fstat(f.fileno()).st_mtime
            except OSError:
                continue
            self._at += len(data)
            return data
        return b""

    def _log(self, folder: CallFolder) -> Path:
        call = folder.load()
        return folder.out_log if call is not None and call.id == self._address.id else self._ended

    def _line(self, line: bytes) -> str:
        if self._describe is None:
            return plain(line.decode("utf-8", "replace"), _WIDTH)
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return ""
        return plain(self._describe(event) or "", _WIDTH) if isinstance(event, dict) else ""
