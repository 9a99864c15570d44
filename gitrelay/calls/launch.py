"""The caller's side of a supervisor: start it, give it its order, let go of it.

Where a fork of the caller is safe it becomes the supervisor when the order is there. Elsewhere a second interpreter
is started before, so that its imports overlap with the caller's work.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitrelay.ledger.ledger import Ledger
from gitrelay.process import detached
from gitrelay.state.calls import Call

_SUPERVISOR: Final = "gitrelay.supervisor"  # by its name: it wires this package and those above


class Launched:
    """A supervisor that waits for its order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = None if detached.can_fork() else self._interpreter()

    def _interpreter(self) -> subprocess.Popen[bytes]:
        # -P: python must not import from the folder it is started in, which is the working tree
        return subprocess.Popen(
            [sys.executable, "-P", "-m", _SUPERVISOR, str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hand_over(self, ledger: Ledger, call: Call) -> bool:
        """Send the order and wait until the supervisor holds `alive`; False if it died or refused.

        The order is the whole call: its folder may have been deleted meanwhile.
        """
        if self._process is None and detached.can_fork():
            serve = importlib.import_module(_SUPERVISOR).serve
            return detached.start(lambda told: serve(ledger, call, told), (_SUPERVISOR, str(call.address))) == b"ok\n"
        self._process = process = self._process or self._interpreter()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(call.to_json()).encode() + b"\n")
            process.stdin.flush()
        answer = process.stdout.readline()
        self.close()
        return answer == b"ok\n"

    def close(self) -> None:
        """Without an order the supervisor ends by itself."""
        if self._process is None:
            return
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
