"""The first and the last bytes of what a command printed, cut so that no secret is cut in two.

Redaction comes later, when the output is recorded, and does not recognise half of a secret. So a cut is made between
lines if a line ends nearby, and never through what a redaction rule finds. To see that, some more bytes are kept on
both sides of a cut.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

_LINE_MAX: Final = 4096  # bytes that are dropped to cut between lines, at most; and at most a quarter of the limit
MARGIN: Final = 16 * 1024  # bytes kept beyond a cut; redact.OVERLAP, which is not imported before it is needed


class Capture:
    """Keeps the first `head` and the last `tail` bytes of a stream. A Listener for process.run.

    `redactor` has the user's own patterns; without it only the built-in rules are asked where to cut.
    """

    def __init__(self, head: int, tail: int, redactor: Redactor | None = None) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._head_size = head
        self._tail_size = tail
        self._redactor = redactor
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._kept = 0
        self._size = 0

    def feed(self, data: bytes) -> bool:
        self._size += len(data)
        room = self._head_size + MARGIN - len(self._first)
        self._first += data[:room]
        rest = data[room:]
        if rest:
            self._last.append(rest)
            self._kept += len(rest)
            while self._kept - len(self._last[0]) >= self._tail_size + MARGIN:
                self._kept -= len(self._last.popleft())
        return True

    def text(self) -> str:
        """Head and tail, and between them how much was left out; what is not UTF-8 is replaced."""
        first, last = bytes(self._first), b"".join(self._last)
        if self._size == len(first) + len(last):
            first = last = first + last
        if self._size > self._head_size + self._tail_size:
            first = first_part(first, self._head_size, self._redactor)
            last = last_part(last, self._tail_size, self._redactor)
            middle = b"\n[... %d bytes left out ...]\n" % (self._size - len(first) - len(last))
            first += middle + last
        return first.decode("utf-8", "replace").replace("\0", "\ufffd").strip("\n")


def first_part(data: bytes, limit: int, redactor: Redactor | None = None) -> bytes:
    """The first bytes of `data`, at most `limit`, without a piece of a secret at their end."""
    if len(data) <= limit:
        return data
    low = max(0, limit - min(_LINE_MAX, limit // 4))
    at = next((at for end in (b"\n", b" ") if (at := data.rfind(end, low, limit)) >= 0), limit)
    return data[: _redactor(redactor).edge(data, at, forward=False)]


def last_part(data: bytes, limit: int, redactor: Redactor | None = None) -> bytes:
    """The last bytes of `data`, at most `limit`, without a piece of a secret at their beginning.

    More than `limit` bytes are needed in `data` to see what the cut goes through: `redact.OVERLAP`.
    """
    if len(data) <= limit:
        return data
    low = len(data) - limit
    high = low + min(_LINE_MAX, limit // 4)
    at = next((at + 1 for end in (b"\n", b" ") if (at := data.find(end, low, high)) >= 0), low)
    return data[_redactor(redactor).edge(data, at, forward=True) :]


def _redactor(given: Redactor | None) -> Redactor:
    if given is not None:
        return given
    from gitrelay.redact import Redactor

    return Redactor()
