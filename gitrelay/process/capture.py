"""What a command printed, as it stands in a message: the command, its first and last output, how it ended."""

from __future__ import annotations

from collections import deque
from typing import Final


class Capture:
    """Keeps the first `head` and the last `tail` bytes of a stream. A Listener for process.run."""

    def __init__(self, head: int, tail: int) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._head = bytearray()
        self._head_size = head
        self._tail: deque[bytes] = deque()
        self._tail_size = tail
        self._kept = 0
        self._size = 0

    def feed(self, data: bytes) -> bool:
        self._size += len(data)
        room = self._head_size - len(self._head)
        self._head += data[:room]
        rest = data[room:]
        if rest:
            self._tail.append(rest)
            self._kept += len(rest)
            while self._kept - len(self._tail[0]) >= self._tail_size:
                self._kept -= len(self._tail.popleft())
        return True

    def text(self) -> str:
        """Head and tail, and between them how much was left out; what is not UTF-8 is replaced."""
        head = bytes(self._head)
        tail = b"".join(self._tail)[-self._tail_size :] if self._tail_size else b""
        left_out = self._size - len(head) - len(tail)
        if left_out:  # cut between lines: half of a secret is not known for one
            head = head[: _last_line_end(head)]
            tail = tail[_first_line_end(tail) :]
            left_out = self._size - len(head) - len(tail)
        middle = b"\n[... %d bytes left out ...]\n" % left_out if left_out else b""
        return (head + middle + tail).decode("utf-8", "replace").replace("\0", "\ufffd").strip("\n")


_LINE_MAX: Final = 4096  # bytes; a longer line is cut at a blank, or where it must be


def _last_line_end(head: bytes) -> int:
    """How much of `head` is whole lines."""
    for end in (b"\n", b" "):
        at = head.rfind(end, -_LINE_MAX if len(head) > _LINE_MAX else 0)
        if at >= 0:
            return at
    return len(head)


def _first_line_end(tail: bytes) -> int:
    """Where the first whole line of `tail` begins."""
    for end in (b"\n", b" "):
        at = tail.find(end, 0, _LINE_MAX)
        if at >= 0:
            return at + 1
    return 0
