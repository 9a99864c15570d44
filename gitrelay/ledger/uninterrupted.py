"""A write that Ctrl-C does not interrupt."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from gitrelay.git.repository import Repository


@contextlib.contextmanager
def uninterrupted(repo: Repository) -> Iterator[None]:
    """Ctrl-C waits for the few milliseconds of a write; git's processes inherit the mask, so none dies half-way.

    Not while signing: a passphrase prompt must be interruptible, and a signature that fails moves nothing.
    """
    if repo.signs or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
