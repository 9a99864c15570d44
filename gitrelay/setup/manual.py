"""The man page: `git relay --help` opens `man git-relay`, which finds it only where it looks.

Installers of single programs (uv tool, pipx) link no man pages, so `git relay install` copies it to the user's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.errors import CannotRecord
from gitrelay.ground.text import quote_path
from gitrelay.setup import shipped
from gitrelay.state.files import write_whole

_OURS: Final = b".TH GIT-RELAY 1 "
_PATIENCE: Final = 10.0  # seconds for man to look through its path


def place(environ: Mapping[str, str]) -> Path:
    """Where it is copied to: man looks there if ~/.local/bin is on PATH."""
    default = environment.home(environ) / ".local/share"
    return environment.folder(environ, "XDG_DATA_HOME", default) / "man/man1/git-relay.1"


def found(environ: Mapping[str, str]) -> str | None:
    """The path of the page as man finds it; None if it finds none, or if there is no man."""
    program = shutil.which("man", path=environ.get("PATH"))
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "-w", "git-relay"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").splitlines()[0] if done.returncode == 0 and done.stdout else None


def install(environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """(the page, what was done); None if man finds one elsewhere, or if there is no man. Raises CannotRecord."""
    path = place(environ)
    there = os.path.lexists(path)
    if not there and (shutil.which("man", path=environ.get("PATH")) is None or found(environ) is not None):
        return None
    text = shipped.path("docs", "git-relay.1").read_bytes()
    try:
        before = path.read_bytes() if path.is_file() else b""
        if there and not before.startswith(_OURS):
            return path, "kept"
        if before != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)
    except OSError as e:
        raise CannotRecord(f"cannot write {quote_path(path)}: {e.strerror}", hint="check who owns it") from e
    return path, "unchanged" if before == text else "updated" if there else "installed"


def uninstall(environ: Mapping[str, str]) -> tuple[Path, str] | None:
    """(the page, `removed`); None if it is not there, or not gitrelay's. Raises CannotRecord."""
    path = place(environ)
    try:
        if not path.is_file() or path.is_symlink() or not path.read_bytes().startswith(_OURS):
            return None
        path.unlink()
    except OSError as e:
        raise CannotRecord(f"cannot remove {quote_path(path)}: {e.strerror}", hint="check who owns it") from e
    return path, "removed"
