"""A git of 2.48 or newer beside the system's: `$NEWGIT`, or what tests/fetch_newgit.sh has brought.

`require` skips a test if there is none, and fails it under GITRELAY_REQUIRE_NEWGIT=1.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

LEAST = (2, 48)  # the first that writes relative paths between a repository and its worktrees


def require() -> Path:
    """The folder that holds the program."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("NEWGIT")
    folder = Path(named) if named else Path(os.environ.get("GITRELAY_NEWGIT") or cache / "gitrelay-newgit") / "bin"
    said = version_of(folder / "git")
    if said is not None and said >= LEAST:
        return folder
    found = "not found" if said is None else f"is {said[0]}.{said[1]}"
    message = f"git of {LEAST[0]}.{LEAST[1]} or newer: {folder / 'git'} {found}; run tests/fetch_newgit.sh to bring one"
    if os.environ.get("GITRELAY_REQUIRE_NEWGIT") == "1":
        pytest.fail(message)
    pytest.skip(message)


def version_of(program: Path) -> tuple[int, int] | None:
    """None if it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    except OSError:
        return None
    match = re.match(r"git version (\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else None
