"""Calls that another machine answers, for who only looks: what is noted of them, brought up to date now and then."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

from gitrelay.ledger.ledger import Ledger
from gitrelay.state import away as aways
from gitrelay.state.away import Away

_EVERY: Final = 10.0  # seconds between two looks at the remotes


class Looker:
    """Has what is noted of calls that are away brought up to date, as long as somebody looks."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked = -_EVERY
        self._process: subprocess.Popen[bytes] | None = None

    def away(self) -> list[Away]:
        """Every call that is away, as it is noted; their remotes are asked in another process, now and then."""
        found = aways.everything(self._ledger.state.root)
        due = time.monotonic() - self._asked >= _EVERY
        if found and due and (self._process is None or self._process.poll() is not None):
            self._asked = time.monotonic()
            words = [sys.executable, "-P", "-m", "gitrelay", "status"]
            null = subprocess.DEVNULL
            self._process = subprocess.Popen(
                words, cwd=self._ledger.repo.place, stdin=null, stdout=null, stderr=null, start_new_session=True
            )
        return found
