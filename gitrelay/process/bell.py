"""A wait of the main thread that another thread, or a signal that has a handler, ends at once.

`threading.Event` does not do for that: its wait goes on after a handler, and a handler that sets it can wait for
itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import TracebackType


class Bell:
    """Rung by `ring` and, if it was made in the main thread, by signals; of one user at a time."""

    def __enter__(self) -> Bell:
        self._ours, self._theirs = os.pipe()
        for fd in (self._ours, self._theirs):
            os.set_blocking(fd, False)
        self._before: int | None = None
        with contextlib.suppress(ValueError):  # not the main thread
            self._before = signal.set_wakeup_fd(self._theirs, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        os.close(self._theirs)
        os.close(self._ours)

    def ring(self) -> None:
        """End the wait, or the next one. The last ring has to be over when the block ends."""
        with contextlib.suppress(OSError):  # it is full of rings already
            os.write(self._theirs, b"\0")

    def wait(self, seconds: float) -> None:
        """Return when it rings, at the latest after `seconds`."""
        rung = select.poll()  # select() takes no descriptor above 1023
        rung.register(self._ours, select.POLLIN)
        if rung.poll(seconds * 1000):
            with contextlib.suppress(OSError):
                os.read(self._ours, 4096)
