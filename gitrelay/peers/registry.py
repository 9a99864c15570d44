"""The registry of peers: the built-in ones in a plain dict, and any program from git config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.peers import claude, codex, gemini, opencode
from gitrelay.peers.base import Peer
from gitrelay.peers.claude import Claude
from gitrelay.peers.codex import Codex
from gitrelay.peers.command import Program
from gitrelay.peers.gemini import Gemini
from gitrelay.peers.opencode import OpenCode
from gitrelay.peers.shell import Shell
from gitrelay.protocol import names
from gitrelay.text import quote

BUILT_IN: dict[str, Peer] = {peer.name: peer for peer in (Claude(), Codex(), Gemini(), OpenCode(), Shell())}
# how one structured event reads as a short line, for the peers that have events
_DESCRIBE: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "claude": claude.describe,
    "codex": codex.describe,
    "gemini": gemini.describe,
    "opencode": opencode.describe,
}


def describer(repo: Repository, name: str) -> Callable[[dict[str, Any]], str | None] | None:
    """How the events of the peer of that name read, None where it prints plain lines."""
    return None if f"relay.{name}.command" in repo.config else _DESCRIBE.get(name)


def configured(repo: Repository) -> list[str]:
    """The names of peers that git config gives a command."""
    found = (key[len("relay.") : -len(".command")] for key in repo.config if _is_command(key))
    return sorted(name for name in found if names.is_slug(name))


def find(repo: Repository, name: str) -> Peer:
    """The peer of that name; `relay.<name>.command` beats a built-in one. Raises UsageError for an unknown one."""
    names.check_slug(name, "--to")
    values = repo.config.get(f"relay.{name}.command")
    if values:
        line, where = values[-1]
        return Program(name, line, where)
    if name in BUILT_IN:
        return BUILT_IN[name]
    known = ", ".join(sorted({*BUILT_IN, *configured(repo)}))
    raise UsageError(
        f"unknown peer {quote(name)}",
        hint=f'known here: {known}; any program: git config relay.{name}.command "PROGRAM ..."',
        code=Code.UNKNOWN_PEER,
    )


def _is_command(key: str) -> bool:
    return key.startswith("relay.") and key.endswith(".command") and len(key) > len("relay..command")
