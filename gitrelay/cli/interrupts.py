"""Ctrl-C as one KeyboardInterrupt that nothing swallows or wraps.

Python raises it wherever the program happens to be. In the middle of an import it can be lost in a callback of the
import system, or come out as a RuntimeError (a class that is being made wraps it), and a module stays half loaded. So
during an import it is put off until the import is done, a few milliseconds later; one that is lost elsewhere, in a
`__del__` for instance, is raised again.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def begin() -> None:
    """Take over Ctrl-C in this process, from the main thread."""
    sys.unraisablehook = _lost
    signal.signal(signal.SIGINT, lambda _, frame: arrive(frame))


def arrive(frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt for a signal that came in `frame`, now or once the import there is done."""
    if not _must_not_raise(frame):
        raise KeyboardInterrupt
    sys.setprofile(_put_off)


def among(error: BaseException | None) -> bool:
    """Whether an interrupt is what this error, or one that it came from, is about."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _must_not_raise(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib") or frame.f_code is _lost.__code__:
            return True
        frame = frame.f_back
    return False


def _put_off(frame: FrameType, event: str, value: Any) -> None:
    """Called by python at the beginning and the end of every function, until it raises."""
    if not _must_not_raise(frame):
        sys.setprofile(None)
        raise KeyboardInterrupt


def _lost(what: UnraisableHookArgs) -> None:
    """Called by python for an exception that it cannot raise where it came up."""
    if among(what.exc_value):
        sys.setprofile(_put_off)
    else:
        sys.__unraisablehook__(what)
