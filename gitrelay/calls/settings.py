"""What a call is made with, and where each value came from: the command line, git config, the peer, gitrelay.

Read from git config only, never from a file in the working tree: cloning must not run code.
"""

from __future__ import annotations

import getpass
import os
import re
from typing import Final

from gitrelay import environment
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground import duration
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.peers.base import Peer
from gitrelay.process.values import Limits
from gitrelay.protocol import names
from gitrelay.protocol.words import Access

DEFAULT_WALL: Final = 3600.0  # reviews of up to 39 minutes were measured in the field
DEFAULT_CHECK: Final = 900.0
DEFAULT_CLOSE: Final = 86400.0
DEFAULT_DEPTH: Final = 2  # a runaway of 905 agents below one another cost its owner 81 dollars
# kept narrow: these words end up in another program's argv
_YES_NO: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0", ""), False),
}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]+-]{0,127}")


@dataclass(frozen=True)
class Choice:
    """A value and where it came from: `--option`, a configuration file, `claude` (the peer) or `default`."""

    value: str
    source: str


@dataclass(frozen=True)
class Given:
    """What the command line says of a call, as it was typed; None if it says nothing."""

    access: str | None = None
    model: str | None = None
    effort: str | None = None
    timeout: str | None = None
    idle_timeout: str | None = None
    first_output: str | None = None
    checks: tuple[str, ...] = ()
    isolate: bool | None = None
    keep: str | None = None  # `theirs` or `fresh`, for the next turn in a workspace
    budget: tuple[str, ...] = ()
    hand_back: bool = False


@dataclass(frozen=True)
class CallSettings:
    access: Access
    model: str | None
    effort: str | None
    limits: Limits


def resolve(repo: Repository, peer: str, key: str, given: str | None, option: str) -> Choice | None:
    """The command line, then `relay.<peer>.<key>`, then `relay.<key>`; None if nobody says."""
    if given is not None:
        return Choice(given, option)
    for name in (f"relay.{peer}.{key}", f"relay.{key}"):
        values = repo.config.get(name)
        if values:
            value, where = values[-1]
            return Choice(value, f"{name} in {where}")
    return None


def for_call(
    repo: Repository,
    peer: Peer,
    given: Given,
) -> CallSettings:
    """Every setting of a call to `peer`. Raises UsageError that quotes the value and names its source."""
    name, able = peer.name, peer.capabilities

    def limit(key: str, value: str | None, option: str, default: float | None) -> float | None:
        choice = resolve(repo, name, key, value, option)
        return default if choice is None else duration.parse_limit(choice.value, choice.source)

    chosen = resolve(repo, name, "access", given.access, "--access") or Choice(Access.WRITE, "default")
    access = access_of(chosen)
    if access not in (*able.access, *able.unheld):
        raise UsageError(
            f"peer {name} cannot be held to {chosen.value} access ({chosen.source})",
            hint=f"it knows {', '.join((*able.access, *able.unheld))}",
            code=Code.BAD_ACCESS,
        )
    words = {}
    for key, value in (("model", given.model), ("effort", given.effort)):
        word = resolve(repo, name, key, value, f"--{key}")
        if word is not None and not _WORD.fullmatch(word.value):
            raise UsageError(
                f"{key} {quote(word.value)} ({word.source}) is not a {key} name",
                hint="letters, digits and . _ : / @ + - [ ]",
                code=Code.BAD_MODEL if key == "model" else Code.BAD_EFFORT,
            )
        words[key] = word.value if word else None
    return CallSettings(
        access=access,
        model=words["model"],
        effort=words["effort"],
        limits=Limits(
            wall=limit("timeout", given.timeout, "--timeout", DEFAULT_WALL),
            idle=limit("idletimeout", given.idle_timeout, "--idle-timeout", able.idle),
            first_output=limit("firstoutput", given.first_output, "--first-output", able.first_output),
        ),
    )


def access_of(chosen: Choice) -> Access:
    """Raises UsageError that quotes the word and names its source."""
    if chosen.value not in tuple(Access):
        raise UsageError(
            f"access {quote(chosen.value)} ({chosen.source})", hint="it is read, write or full", code=Code.BAD_ACCESS
        )
    return Access(chosen.value)


def check_limit(repo: Repository) -> float | None:
    """Seconds that a check may take, `relay.checkTimeout`."""
    values = repo.config.get("relay.checktimeout")
    if not values:
        return DEFAULT_CHECK
    return duration.parse_limit(values[-1][0], f"relay.checkTimeout in {values[-1][1]}")


def close_after(repo: Repository) -> float | None:
    """Seconds of quiet after which a session's worktree is removed, `relay.closeAfter`; None for never.

    Raises UsageError for a value that is no duration.
    """
    values = repo.config.get("relay.closeafter")
    if not values:
        return DEFAULT_CLOSE
    return duration.parse_limit(values[-1][0], f"relay.closeAfter in {values[-1][1]}")


def peer_environment(repo: Repository, peer: str) -> dict[str, str]:
    """`relay.<peer>.env NAME=VALUE`, every one of them. Raises UsageError for one without a name."""
    found: dict[str, str] = {}
    for item, where in repo.config.get(f"relay.{peer}.env", []):
        name, equals, value = item.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(
                f"relay.{peer}.env in {where}: not NAME=VALUE",
                hint="git config --add relay.PEER.env NAME=VALUE",
                code=Code.BAD_CONFIG,
            )
        found[name] = value
    return found


def max_depth(repo: Repository) -> int:
    """How deep agents may call agents, `relay.maxDepth`; a person's own call is the first level."""
    text = repo.setting("relay.maxdepth")
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,3}", text) else DEFAULT_DEPTH


def resumes(repo: Repository, peer: str) -> bool:
    """Whether the peer's own conversation is continued, `relay.<peer>.resume`; by default it is."""
    own = repo.flag(f"relay.{peer}.resume")
    return True if own is None else own


def steps(repo: Repository) -> bool:
    """Whether what peers say they do is recorded, `relay.steps`; by default it is not. Raises UsageError."""
    values = repo.config.get("relay.steps")
    if not values:
        return False
    word, where = values[-1]
    if word.lower() not in _YES_NO:
        raise UsageError(
            f"relay.steps {quote(word)} in {where}",
            hint="git config relay.steps true, or false",
            code=Code.BAD_CONFIG,
        )
    return _YES_NO[word.lower()]


def keep(repo: Repository, peer: str) -> float | None:
    """Seconds that an agent stays for the next turn of its session, `relay.<peer>.keep`; None if it does not.

    Raises UsageError for a value that is no duration.
    """
    values = repo.config.get(f"relay.{peer}.keep")
    return None if not values else duration.parse_limit(values[-1][0], f"relay.{peer}.keep in {values[-1][1]}")


def of_peer(repo: Repository, peer: str) -> list[dict[str, str]]:
    """Every `relay.<peer>.*` setting as name, value and source; the values of `env` are not shown."""
    prefix = f"relay.{peer}."
    found = []
    for name, values in sorted(repo.config.items()):
        if name.startswith(prefix) and name != prefix + "command":
            for value, where in values if name == prefix + "env" else values[-1:]:
                shown = value.partition("=")[0] + "=..." if name == prefix + "env" else value
                found.append({"name": name, "value": shown, "source": where})
    return found


def caller(repo: Repository, given: str | None) -> str:
    """Who calls: `--from`, else the agent that runs this, else `relay.from`, else the user's name as a slug."""
    if given is not None:
        return names.check_slug(given, "--from")
    agent = environment.calling_agent(os.environ)
    if agent is not None:
        return agent
    values = repo.config.get("relay.from")
    if values:
        return names.check_slug(values[-1][0], f"relay.from in {values[-1][1]}")
    return names.slugify(repo.setting("user.name") or _login(), default="user")


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"
