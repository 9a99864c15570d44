"""How long the user's own programs may take that git starts: filters, and the one that signs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

from gitrelay.git.run import LIMIT
from gitrelay.ground import duration

_SIGN: Final = 25.0  # seconds, if nobody can be asked for a passphrase
_SIGN_ASKING: Final = 120.0  # on a terminal
_FILTER: Final = 30.0  # seconds for git to look at the user's files through filters


def of_filters(settings: Iterable[str], setting: Callable[[str], str | None]) -> float:
    """Seconds for git to look at the user's files; `settings` are the names of all of them, in lower case.

    `relay.filterTimeout` counts if a program of the user's may filter; git-lfs may take its time. Raises UsageError.
    """
    programs = (name for name in settings if name.startswith("filter.") and name.endswith((".clean", ".process")))
    if all(name.startswith("filter.lfs.") for name in programs):
        return LIMIT
    given = setting("relay.filtertimeout")
    return _FILTER if given is None else duration.parse(given, "relay.filterTimeout")


def of_signing(setting: Callable[[str], str | None]) -> float:
    """Seconds for a program that signs. Raises UsageError."""
    given = setting("relay.signtimeout")
    if given is not None:
        return duration.parse(given, "relay.signTimeout")
    return _SIGN_ASKING if sys.stdin.isatty() else _SIGN
