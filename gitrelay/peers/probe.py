"""What a peer's program is: where it is, its version, the flags it knows; asked once per (path, mtime, size)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.peers.base import Capabilities, Peer
from gitrelay.peers.events import clean
from gitrelay.state.files import write_whole
from gitrelay.state.folder import State

_LIMIT: Final = (
    60.0  # seconds for `--version` or `--help`; 1.4 s was the slowest measured (gemini), 20 on a busy machine
)
_VERSION_BYTES: Final = 16 * 1024  # warnings may come before the version
_HELP_BYTES: Final = 256 * 1024  # claude prints 20 kB
# a line that says a version and nothing else: `0.61.0`, `codex-cli 0.170.0-alpha.3`, `2.1.329 (Claude Code)`,
# `GitHub Copilot CLI 1.0.102.`
_VERSION_LINE: Final = (
    r"(?:(?:github )?{name}(?:[-_ ]?(?:cli|code))?[ :,@/]*)?(?:version:?[ ]*)?v?(\d+(?:\.\d+)+)([-+.][\w.+-]*\w)?"
    r"(?:\s+\([^()]*\))?\.?"
)
_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Program:
    """A program by the name it is called with; `path` is None if PATH has none."""

    name: str
    path: Path | None


@dataclass(frozen=True)
class Version:
    """`text` is the number as the program prints it, '' if it prints none."""

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
    """The program's version, from the cache or from `--version`; None if it cannot be told."""
    text = _remembered(state, program, "versions.json", lambda path: _ask(path, program.name), "line")
    if text is None:
        return None
    numbers = tuple(int(n) for n in text.split(".")) if text else ()
    return Version(text, not numbers or numbers >= able.minimum)


def version_in(printed: str, name: str) -> str:
    """The number in the line in which the program `name` says its version, '' if there is none.

    Warnings and notices of a newer version come before or after it and hold numbers too. 0.0.0 is what a build from
    source says: it is no version.
    """
    form = re.compile(_VERSION_LINE.format(name=re.escape(name)), re.IGNORECASE)
    lines = [clean(line).strip() for line in re.split(r"[\r\n]+", printed)]
    found = [match for line in lines if (match := form.fullmatch(line)) is not None]
    named = [match for match in found if match[0].lower().startswith(name.lower())]
    number = (named or found)[0][1] if found else ""
    return number if any(int(part) for part in number.split(".") if part) else ""


def missing_flags(state: State, program: Program, commands: Sequence[Sequence[str]]) -> list[str]:
    """The flags of `commands` (argv[0] left out) that the program's own help does not name.

    The help that is asked is that of the subcommand the words begin with. Empty if there is no help to read.
    """
    found: list[str] = []
    for words in commands:
        first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
        subcommand = list(words[:first])

        def ask(path: Path, subcommand: list[str] = subcommand) -> str | None:
            printed = _output([str(path), *subcommand, "--help"], _HELP_BYTES)
            return None if printed is None else " ".join(sorted(set(_FLAG.findall(printed))))

        known = (_remembered(state, program, "flags.json", ask, " ".join(subcommand)) or "").split()
        wanted = [word.partition("=")[0] for word in words if _FLAG.fullmatch(word.partition("=")[0])]
        if known:
            found += [flag for flag in wanted if flag not in known and flag not in found]
    return found


def _remembered(
    state: State, program: Program, file: str, ask: Callable[[Path], str | None], what: str = ""
) -> str | None:
    """What `ask` says of the program, kept in `file` while the program is the same; None if it says nothing."""
    if program.path is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        real = program.path.resolve(strict=True)
        info = real.stat()
        own = f"{real}:"
        key = f"{own}{info.st_mtime_ns}:{info.st_size}{what and ':'}{what}"
        cache = state.root / file
        known: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            known = {str(k): str(v) for k, v in json.loads(cache.read_bytes()).items()}
        if key not in known:
            same = f"{own}{info.st_mtime_ns}:{info.st_size}"
            known = {k: v for k, v in known.items() if k.startswith(same) or not k.startswith(own)}
            said = ask(program.path)
            if said is None:
                return None
            known[key] = said
            with contextlib.suppress(OSError):
                write_whole(cache, json.dumps(known, indent=1).encode())
        return known[key]
    return None


def _ask(path: Path, name: str) -> str | None:
    printed = _output([str(path), "--version"], _VERSION_BYTES)
    return None if printed is None else version_in(printed, name)


def _output(argv: Sequence[str], most: int) -> str | None:
    """The first `most` bytes of what a short command prints; None if it does not start or does not end in time."""
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    with child:
        try:
            out, _ = child.communicate(timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return None
    return out[:most].decode("utf-8", "replace")
