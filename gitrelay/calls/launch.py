"""The caller's side of a supervisor: start it, give it its order, let go of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gitrelay.state.calls import Call


class Launched:
    """A supervisor that waits for its order."""

    def __init__(self, folder: Path) -> None:
        # -P: python must not import from the folder it is started in, which is the working tree
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gitrelay.supervisor", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hand_over(self, call: Call) -> bool:
        """Send the order and wait until the supervisor holds `alive`; False if it died or refused.

        The order is the whole call: its folder may have been deleted meanwhile.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(call.to_json()).encode() + b"\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        self.close()
        return answer == b"ok\n"

    def close(self) -> None:
        """Without an order the supervisor ends by itself."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()


@contextlib.contextmanager
def launched(folder: Path) -> Iterator[Launched]:
    """A supervisor for the time of one request from `folder`; it ends unless it got its order."""
    supervisor = Launched(folder)
    try:
        yield supervisor
    finally:
        supervisor.close()
