"""What the server may do for its client: how much access a call gets, in which folders, and how long a tool waits.

A host starts the server outside its own sandbox, so what a client says is never more than what the server was
started with; what the client says of itself can only make it less.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from gitrelay import environment
from gitrelay.calls import settings
from gitrelay.calls.settings import Choice
from gitrelay.errors import Code, Refused, UsageError
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.process import ancestry
from gitrelay.protocol.words import Access
from gitrelay.workspace.opening import repository

WAIT: Final = 280.0  # seconds; codex 0.169 ends a tool call at 300, whatever progress it is told
_INHERITED: Final = (environment.ACCESS, environment.CALL, "GITRELAY_CHAIN", "GITRELAY_DEPTH")
_ROOTS_MAX: Final = 100


@dataclass(frozen=True)
class Bounds:
    """What the server was started with. `repo` None: the client's roots say where, else the folder it runs in."""

    most: Access = Access.WRITE
    wait: float = WAIT
    repo: Path | None = None
    roots: tuple[Path, ...] = field(default=())

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where calls may be made, the default first."""
        return (self.repo,) if self.repo is not None else self.roots or (Path.cwd(),)

    def folder(self, wanted: str | None) -> Path:
        """The folder that a call is made in. Raises UsageError if it is outside of what the client may use."""
        if wanted is None:
            return self.folders[0]
        place = Path(os.path.realpath(self.folders[0] / wanted))
        if not any(place.is_relative_to(os.path.realpath(folder)) for folder in self.folders):
            raise UsageError(
                f"folder {quote(wanted)} is outside of what this server may use",
                hint=f"it is in {', '.join(quote_path(folder) for folder in self.folders)}",
                code=Code.NO_FOLDER,
            )
        if not place.is_dir():
            raise UsageError(f"folder {quote(wanted)} is not there", hint="leave it out", code=Code.NO_FOLDER)
        return place

    def files(self, folder: Path, names: Sequence[str]) -> list[str]:
        """The names as they are. Raises UsageError for one that leads out of the folders."""
        for name in names:
            place = Path(os.path.realpath(folder / name))
            if not any(place.is_relative_to(os.path.realpath(one)) for one in (*self.folders, folder)):
                raise UsageError(
                    f"file {quote(name)} is outside of what this server may use",
                    hint=f"name one in {quote_path(folder)}",
                    code=Code.NO_FOLDER,
                )
        return list(names)

    def access(self, folder: Path, peer: str, asked: str | None, least: Access = Access.FULL) -> Access:
        """The access of a call to `peer`: `asked`, else the configured one as far as it may be.

        `least` is what the client has itself. Raises Refused if `asked` is more than may be given.
        """
        most = min(self.most, least, key=lambda one: one.rank)
        if asked is None:
            chosen = settings.resolve(repository(folder), peer, "access", None, "") or Choice(Access.WRITE, "default")
            return min(settings.access_of(chosen), most, key=lambda one: one.rank)
        if most.covers(Access(asked)):
            return Access(asked)
        why = (
            f"the client's own sandbox has {least} access"
            if most is not self.most
            else f"this server was started for {most} access (git relay mcp --max-access)"
        )
        raise Refused(f"access {asked} is more than may be given: {why}", hint=f"ask for {most}, or leave it out")


def environ_of(bounds: Bounds, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the commands that the server runs: whatever they are, they get no more than `bounds.most`.

    A host may start its servers without most of its own environment (codex does), so what tells of the call that it
    runs in is taken from the nearest process above that has it.
    """
    found = dict(environ)
    for above in (one.environ for one in ancestry.ancestors()):
        for name in _INHERITED:
            if name in above:
                found.setdefault(name, above[name])
    before = found.get(environment.ACCESS)
    known = Access(before) if before in tuple(Access) else Access.READ if before is not None else Access.FULL
    if known is not Access.FULL or bounds.most is not Access.FULL:
        found[environment.ACCESS] = min(known, bounds.most, key=lambda one: one.rank)
    return found


def roots_of(result: Mapping[str, Any]) -> tuple[Path, ...]:
    """The folders that a client names as its roots; what is no folder of this machine counts as not named."""
    roots = result.get("roots")
    found = []
    for root in roots[:_ROOTS_MAX] if isinstance(roots, list) else []:
        uri = root.get("uri") if isinstance(root, dict) else None
        if isinstance(uri, str) and uri.startswith("file://") and "%00" not in uri and "\0" not in uri:
            try:
                parts = urlsplit(uri)
            except ValueError:
                continue
            path = Path(unquote(parts.path))
            if parts.netloc in ("", "localhost") and path.is_absolute() and path.is_dir():
                found.append(path)
    return tuple(found)


def client_access(meta: Mapping[str, Any]) -> Access:
    """What the client's own sandbox lets it do, as far as it says so in the request: codex does."""
    turn = meta.get("x-codex-turn-metadata")
    mode = turn.get("sandbox_mode") or turn.get("sandbox") if isinstance(turn, dict) else None
    return Access.READ if mode == "read-only" else Access.FULL
