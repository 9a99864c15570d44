"""The environment of what runs in a workspace, without what would lead it back to the caller's tree.

A virtual environment, a PATH entry or a PYTHONPATH below the caller's top is that of the workspace if it is there too,
else it is dropped. What still comes from the caller's tree is told, so that no check passes on the wrong files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gitrelay.ground.value import dataclass

_LISTS: Final = ("PATH", "PYTHONPATH")
_FOLDERS: Final = ("VIRTUAL_ENV", "CONDA_PREFIX", "GOPATH", "GOBIN", "CARGO_TARGET_DIR", "PYTHONHOME")
_PTH_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Trees:
    """The caller's working tree, and the workspace in its place, '' if there is none."""

    top: str
    workspace: str


def of(trees: Trees, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a process that runs in the workspace."""
    if not trees.workspace:
        return dict(environ)
    kept = {name: value for name, value in environ.items() if name != "PWD"}
    for name in _FOLDERS:
        if name in kept:
            _put(kept, name, _moved(trees, kept[name]))
    for name in _LISTS:
        if name in kept:
            moved = [_moved(trees, entry) for entry in kept[name].split(os.pathsep)]
            _put(kept, name, os.pathsep.join(entry for entry in moved if entry is not None))
    return kept


def _put(environ: dict[str, str], name: str, value: str | None) -> None:
    if value:
        environ[name] = value
    else:
        environ.pop(name, None)


def _moved(trees: Trees, path: str) -> str | None:
    """`path`, or its like in the workspace if it is below the caller's top; None if there is none."""
    if not is_callers(trees, path):
        return path
    there = Path(trees.workspace) / os.path.relpath(path, trees.top)
    return str(there) if there.exists() else None


def is_callers(trees: Trees, path: str) -> bool:
    """Whether `path` is in the caller's tree and not in the workspace."""
    real = os.path.realpath(path)
    return any(_below(one, trees.top) and not _below(one, trees.workspace) for one in (path, real))


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + os.sep)


def leads_back(trees: Trees, program: str) -> str:
    """What of the caller's tree a program would use, '' if nothing is known: itself, or an editable install."""
    if not trees.workspace or not program:
        return ""
    if is_callers(trees, program):
        return program
    return next((path for path in _editable(Path(program).parent.parent) if is_callers(trees, path)), "")


def _editable(prefix: Path) -> Iterator[str]:
    """The folders that the virtual environment at `prefix` takes packages from (`*.pth`)."""
    if not (prefix / "pyvenv.cfg").is_file():
        return
    for path in sorted(prefix.glob("lib/python*/site-packages/*.pth")):
        try:
            with path.open("rb") as f:
                lines = f.read(_PTH_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        yield from (line.strip() for line in lines if line.startswith("/"))
