"""The processes that this one descends from, as the system tells them; nothing that they say of themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gitrelay.ground.value import dataclass

_DEPTH: Final = 256  # a chain of parents is never longer; a loop of reused pids ends here


@dataclass(frozen=True)
class Ancestor:
    """A process above this one, and the environment that it was started with; empty if that may not be read."""

    pid: int
    environ: Mapping[str, str]


def ancestors() -> Iterator[Ancestor]:
    """From the parent upwards, as far as the system tells."""
    pid = os.getppid()
    for _ in range(_DEPTH):
        if pid <= 1:
            return
        yield Ancestor(pid, _environ(pid))
        pid = _parent(pid)


if sys.platform == "linux":  # without psutil, whose import costs a caller more than all of this

    def _environ(pid: int) -> Mapping[str, str]:
        try:
            data = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return {}
        pairs = (item.partition("=") for item in data.decode("utf-8", "surrogateescape").split("\0"))
        return {name: value for name, equals, value in pairs if equals}

    def _parent(pid: int) -> int:
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return 0
        return int(stat.rpartition(b")")[2].split()[1])  # the name before it may hold anything

else:

    def _environ(pid: int) -> Mapping[str, str]:
        import psutil

        try:
            return psutil.Process(pid).environ()
        except (psutil.Error, OSError):
            return {}

    def _parent(pid: int) -> int:
        import psutil

        try:
            return psutil.Process(pid).ppid()
        except psutil.Error:
            return 0
