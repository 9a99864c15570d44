"""Opening an address that holds a secret in the user's browser.

The words of a process can be read by every user of the machine, so the browser is given the name of a file that
only this user can read, and the file leads to the address.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from markupsafe import Markup

from gitrelay.state.files import cannot_write
from gitrelay.state.folder import State


@contextlib.contextmanager
def opened(state: State, url: str, none: Callable[[], None]) -> Iterator[None]:
    """A browser is started while the block runs, and `none` is called if there is none. Raises CannotRecord.

    A browser of the terminal runs until it is left, so nobody waits for it. The file stays until the end of
    the block, because a browser may take its time.
    """
    state.prepare()
    path = state.root / f"web-{os.getpid()}.html"
    page = Markup(
        '<!doctype html><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={}">'
    )
    try:
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise cannot_write(path, e) from e
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(page.format(url))
        threading.Thread(target=_open, args=(path.as_uri(), none), daemon=True).start()
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _open(address: str, none: Callable[[], None]) -> None:
    import webbrowser

    if not webbrowser.open(address):
        none()
