"""The verbs as processes: each tool runs `git relay VERB --json`, and what comes of it is the envelope.

A call outlives the process that made it, so nothing that ends here ends a call. And a verb that fails, hangs or dies
is one error of one tool, and the server goes on.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gitrelay.errors import Busy, CannotRecord, Code, RelayError
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass

_LIMIT: Final = 120.0  # seconds for a verb that waits for no peer; it may wait 30 s for a lock, and git be slow
_NOTES_MAX: Final = 20


@dataclass(frozen=True)
class Envelope:
    """What a verb gave with --json (docs/json.md); `notes` are the lines that it had for the person."""

    exit_code: int
    data: Any
    errors: Sequence[Mapping[str, str]]
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> str:
        """The first error as one line: what is wrong, then what to do next."""
        if not self.errors:
            return ""
        first = self.errors[0]
        return first["message"] + (f"; {first['hint']}" if first["hint"] else "")


class Failed(RelayError):
    """A verb gave an error and no data; its message is the error's one line."""


class Stopped(Exception):
    """The waiting was ended, by the client or with the server; the call goes on."""


class Waiting:
    """The one wait of a tool call, which another thread may end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def begin(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._process = process
            if self.stopped:
                process.terminate()

    def over(self) -> None:
        with self._lock:
            self._process = None

    def stop(self) -> None:
        """End the waiting process, now or as soon as it is there. The call goes on."""
        with self._lock:
            self.stopped = True
            if self._process is not None:
                self._process.terminate()


def run(
    folder: Path,
    environ: Mapping[str, str],
    verb: str,
    *words: str,
    text: str | None = None,
    limit: float = _LIMIT,
    waiting: Waiting | None = None,
) -> Envelope:
    """Run a verb to its end. `text` is its stdin, which takes exactly one line end away again.

    Raises Failed if the verb gave an error and no data; Stopped if `waiting` was stopped meanwhile; Busy if it takes
    longer than `limit` seconds; CannotRecord if it died.
    """
    argv = [sys.executable, "-P", "-m", "gitrelay", verb, "--json", *words]
    with contextlib.ExitStack() as stack:
        stdin: Any = subprocess.DEVNULL
        if text is not None:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(text.encode() + b"\n")
            stdin.seek(0)
        # its own session: a host that ends the server's whole group must not end what is being recorded
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=dict(environ),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if waiting is not None:
            waiting.begin(process)
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Busy(f"git relay {verb} did not end within {limit:g} s", hint="look again later") from None
        finally:
            if waiting is not None:
                waiting.over()
    if waiting is not None and waiting.stopped:
        raise Stopped
    return _envelope(verb, process.returncode, out, err)


def _envelope(verb: str, code: int, out: bytes, err: bytes) -> Envelope:
    said = [line.removeprefix("git-relay: ") for line in err.decode("utf-8", "replace").splitlines()]
    try:
        value = json.loads(out)
        found = Envelope(value["exit_code"], value["data"], value["errors"], tuple(map(plain, said[:_NOTES_MAX])))
    except (ValueError, KeyError, TypeError):
        last = plain(said[-1], 300) if said else "it said nothing"
        raise CannotRecord(f"git relay {verb} ended with exit code {code}: {last}", code=Code.BROKEN) from None
    if found.data is None:
        raise Failed(found.error or f"git relay {verb} failed with exit code {code}")
    return found
