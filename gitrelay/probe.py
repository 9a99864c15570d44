"""What a peer's program is: where it stands and which version it has, asked once per (path, mtime, size)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.peers.base import Capabilities, Peer
from gitrelay.state import State, write_whole

_LIMIT: Final = 20.0  # seconds for `--version`; 1.4 s was the slowest measured (gemini)
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True)
class Program:
    """A program by the name it is called with; `path` None where PATH has none."""

    name: str
    path: Path | None


@dataclass(frozen=True)
class Version:
    """`text` is the number as the program prints it, '' where it prints none."""

    text: str
    supported: bool

    def complaint(self, peer: Peer) -> str:
        wanted = ".".join(map(str, peer.capabilities.minimum))
        return f"{peer.name} {self.text} is too old: gitrelay needs {wanted} or newer. Update it, then call again"


def find(program: str, environ: Mapping[str, str]) -> Program:
    """Where PATH has the program. Only absolute folders count: a working tree must not say what runs."""
    expanded = os.path.expanduser(program)
    name = os.path.basename(expanded)
    if os.path.isabs(expanded):
        path: str | None = expanded if os.path.lexists(expanded) else None
    elif os.sep in program:
        path = None
    else:
        folders = [f for f in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(f)]
        path = shutil.which(program, path=os.pathsep.join(folders))
    return Program(name, Path(path) if path else None)


def missing(program: str) -> str:
    """Why `find` has no path for the program, in words."""
    if os.sep in program and not os.path.isabs(os.path.expanduser(program)):
        return f"{program} is a relative path, and what runs must not depend on the working tree; give the whole path"
    return f"{program} was not found" + ("" if os.sep in program else " on PATH")


def version(state: State, program: Program, able: Capabilities) -> Version | None:
    """The program's version, from the cache or from `--version`; None where it cannot be told."""
    if program.path is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        real = program.path.resolve(strict=True)
        info = real.stat()
        key = f"{real}:{info.st_mtime_ns}:{info.st_size}"
        cache = state.root / "versions.json"
        known: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            known = {str(k): str(v) for k, v in json.loads(cache.read_bytes()).items()}
        if key not in known:
            known = {k: v for k, v in known.items() if not k.startswith(f"{real}:")}
            known[key] = _ask(program.path)
            with contextlib.suppress(OSError):
                write_whole(cache, json.dumps(known, indent=1).encode())
        text = known[key]
        numbers = tuple(int(n) for n in text.split(".")) if text else ()
        return Version(text, not numbers or numbers >= able.minimum)
    return None


def _ask(path: Path) -> str:
    try:
        done = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _NUMBER.search(done.stdout.decode("utf-8", "replace")[:4096])
    return found[0] if found else ""
