"""What a command printed, as it stands in a message: the command, its first and last output, how it ended."""

from __future__ import annotations

from collections import deque


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
        tail = b"".join(self._tail)[-self._tail_size :] if self._tail_size else b""
        left_out = self._size - len(self._head) - len(tail)
        middle = b"\n[... %d bytes left out ...]\n" % left_out if left_out else b""
        return (bytes(self._head) + middle + tail).decode("utf-8", "replace").replace("\0", "\ufffd").strip("\n")


def block(command: str, printed: str, end: str) -> str:
    """The command and its output in a code fence that neither of them can close, then how it ended."""
    fence = "```"
    while fence in printed or fence in command:
        fence += "`"
    output = f"{printed}\n" if printed else ""
    return f"{fence}console\n$ {command}\n{output}{fence}\n\n{end}"


def ending(exit_code: int) -> str:
    """`exit 1`, `signal 9`."""
    return f"exit {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
