"""Files that come with gitrelay: skills, hooks, documents. And the mark that tells a copy from an edit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code

_PACKAGE: Final = Path(__file__).parent.parent


def path(folder: str, *names: str) -> Path:
    """A shipped file: package data in a wheel, `folder` at the top in a checkout.

    Raises CannotRecord if this installation lacks it.
    """
    for place in (_PACKAGE, _PACKAGE.parent):
        found = place.joinpath(folder, *names)
        if found.is_file():
            return found
    raise CannotRecord(
        f"this installation of gitrelay has no {'/'.join((folder, *names))}",
        hint="install it again: uv tool install --force gitrelay-cli",
        code=Code.BROKEN,
    )


def digest(data: bytes) -> str:
    """16 hexadecimal digits of a file's content; an installed copy carries them, so that an edit is noticed."""
    return hashlib.sha256(data).hexdigest()[:16]
