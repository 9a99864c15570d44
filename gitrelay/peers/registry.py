"""The registry of peers: the built-in ones by their names, and any program from git config."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.peers.base import Peer
from gitrelay.protocol import names

if TYPE_CHECKING:
    from gitrelay.peers.acp.agent import Agent
    from gitrelay.peers.doing import Doing

_CLASSES: Final = {  # peer -> its module and its class there
    "claude": "Claude",
    "codex": "Codex",
    "copilot": "Copilot",
    "gemini": "Gemini",
    "opencode": "OpenCode",
    "qwen": "Qwen",
    "shell": "Shell",
}
_LINES = ("command", "read", "write", "full")  # the settings that are command lines


class _BuiltIn(Mapping[str, Peer]):
    """The built-in peers by name. The module of one is imported when it is asked for: a call needs one of seven."""

    def __init__(self) -> None:
        self._made: dict[str, Peer] = {}

    def __getitem__(self, name: str) -> Peer:
        class_ = _CLASSES[name]  # KeyError for any other name
        if name not in self._made:
            made: Peer = getattr(_module(name), class_)()
            self._made[name] = made
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"gitrelay.peers.{name}")


BUILT_IN: Final[Mapping[str, Peer]] = _BuiltIn()


def describer(repo: Repository, name: str) -> Callable[[dict[str, Any]], str | None] | None:
    """How the events of the peer of that name read, None if it prints plain lines."""
    if _has_acp(repo, name):
        from gitrelay.peers.acp import messages

        return messages.describe
    return None if _has_command(repo, name) or name not in BUILT_IN else getattr(_module(name), "describe", None)


def doing(repo: Repository, name: str) -> Callable[[dict[str, Any]], Iterable[Doing]] | None:
    """What the events of the peer of that name say it does, None if it prints plain lines."""
    from gitrelay.peers import doing as streams

    if _has_acp(repo, name):
        return streams.acp
    return None if _has_command(repo, name) else streams.BY_PEER.get(name)


def configured(repo: Repository) -> list[str]:
    """The names of peers that git config gives a command line."""
    found = {key[len("relay.") :].rpartition(".")[0] for key in repo.config if _is_command(key)}
    return sorted(name for name in found if names.is_slug(name) and (name not in BUILT_IN or _has_own(repo, name)))


def find(repo: Repository, name: str) -> Peer:
    """The peer of that name; `relay.<name>.command` and `.acp` beat a built-in one.

    Raises UsageError for an unknown one, and for one that is configured in two ways.
    """
    names.check_slug(name, "--to")
    if _has_acp(repo, name):
        return _agent(repo, name)
    if name in BUILT_IN and not _has_command(repo, name):
        return BUILT_IN[name]
    lines = {
        "" if key == "command" else key: values[-1]
        for key in _LINES
        if (values := repo.config.get(f"relay.{name}.{key}"))
    }
    if lines:
        from gitrelay.peers.command import Program, Settings

        return Program(name, Settings(lines, repo.flag(f"relay.{name}.plain") is True, _verdict(repo, name)))
    import difflib

    there = sorted({*BUILT_IN, *configured(repo)})
    near = difflib.get_close_matches(name, there, n=1)
    raise UsageError(
        f"unknown peer {quote(name)}" + (f"; did you mean {near[0]}?" if near else ""),
        hint=f'known here: {", ".join(there)}; any program: git config relay.{name}.command "PROGRAM ...", '
        f'any ACP agent: git config relay.{name}.acp "PROGRAM ..."',
        code=Code.UNKNOWN_PEER,
    )


def _agent(repo: Repository, name: str) -> Agent:
    from gitrelay.peers.acp.agent import Agent

    line, where = repo.config[f"relay.{name}.acp"][-1]
    if _has_command(repo, name):
        raise UsageError(
            f"relay.{name}.acp ({where}) and relay.{name}.command are both set",
            hint=f"git config --unset relay.{name}.command",
            code=Code.BAD_CONFIG,
        )
    modes = repo.config.get(f"relay.{name}.readmode")
    return Agent(name, line, where, modes[-1][0] if modes else None)


def _verdict(repo: Repository, name: str) -> str | None:
    values = repo.config.get(f"relay.{name}.verdict")
    if not values:
        return None
    value, where = values[-1]
    if value != "exit":
        raise UsageError(
            f"relay.{name}.verdict {quote(value)} ({where})",
            hint="it is exit, or is not set",
            code=Code.BAD_CONFIG,
        )
    return value


def _has_command(repo: Repository, name: str) -> bool:
    return f"relay.{name}.command" in repo.config


def _has_acp(repo: Repository, name: str) -> bool:
    return f"relay.{name}.acp" in repo.config


def _has_own(repo: Repository, name: str) -> bool:
    return _has_command(repo, name) or _has_acp(repo, name)


def _is_command(key: str) -> bool:
    name, _, last = key.removeprefix("relay.").rpartition(".")
    return key.startswith("relay.") and bool(name) and last in (*_LINES, "acp")
