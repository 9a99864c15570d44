"""Keeps what a child printed in a file, bounded and redacted."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Final

from gitrelay.redact import OVERLAP, Redactor

LOG_HEAD: Final = 4 * 1024 * 1024  # a log keeps its first and its last part, at most 4 MiB + 256 KiB
LOG_TAIL: Final = 256 * 1024


class Log:
    """A file that keeps the first `head` and the last `tail` bytes of a stream, redacted.

    A line is written once it is whole, so that no secret gets into the file in two pieces. The tail is in memory until
    the end, as it came, with OVERLAP bytes more before it: a secret may begin there.
    """

    def __init__(self, path: Path, redactor: Redactor, head: int = LOG_HEAD, tail: int = LOG_TAIL) -> None:
        self._file = _opened(path)
        self._path = path
        self._redactor = redactor
        self._stream = redactor.stream()
        self._lock = threading.Lock()  # the end may come while a reader still waits for a grandchild's words
        self._head = head
        self._room = head
        self._limit = tail
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._touched = 0.0

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._room:
                data = self._to_file(self._stream.feed(data))
            if self._room and time.monotonic() - self._touched > 1:
                self._touch()
            if data and not self._room:
                self._tail.append(data)
                self._tail_size += len(data)
                while self._tail_size - len(self._tail[0]) >= self._limit + OVERLAP:
                    self._left_out += len(self._tail[0])
                    self._tail_size -= len(self._tail.popleft())
                if time.monotonic() - self._touched > 1:
                    self._touch()

    def _to_file(self, redacted: bytes) -> bytes:
        """Write what still fits. Returns the rest and, if the head is full, what the stream holds, not redacted."""
        with contextlib.suppress(OSError):  # a full disk must not end the call
            self._file.write(redacted[: self._room])
        rest = redacted[self._room :]
        self._room -= min(self._room, len(redacted))
        return rest + self._stream.take() if not self._room else b""

    def _touch(self) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._path)  # `status` reads the time of the last output from here
        self._touched = time.monotonic()

    def last(self, limit: int) -> bytes:
        """At most `limit` last bytes, redacted, of what is still in memory or on disk."""
        with self._lock:
            tail = self._stream.held() if self._room else self._ending()[0]
            if len(tail) < limit and not self._left_out:
                with contextlib.suppress(OSError, ValueError):
                    written = self._head - self._room
                    wanted = min(written, limit - len(tail))
                    tail = os.pread(self._file.fileno(), wanted, written - wanted) + tail
            return tail[-limit:]

    def _ending(self) -> tuple[bytes, int]:
        """(the tail that will be written, number of bytes before it that are dropped)."""
        data = b"".join(self._tail)
        return self._redactor.ending(data, self._limit if self._left_out else self._limit + OVERLAP)

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._room:
                self._file.write(self._stream.close()[: self._room])
            else:
                tail, cut = self._ending()
                if self._left_out + cut:
                    self._file.write(b"\n[... %d bytes left out ...]\n" % (self._left_out + cut))
                self._file.write(tail[-self._limit - OVERLAP :])
            self._file.close()


def _opened(path: Path) -> IO[bytes]:
    """The file at `path`, or one without a name if its folder was deleted: a log ends no call."""
    try:
        return path.open("w+b", buffering=0)
    except OSError:
        return tempfile.TemporaryFile(buffering=0)
