"""What a worker is started with: its options, else the settings of the clone.

The settings are read from git config only, never from a file in the working tree: who can push must not decide what a
worker offers. That everybody is answered (`--unsigned`) has no setting; it has to be typed where the worker is started.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gitrelay.calls import settings
from gitrelay.calls.settings import Choice
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground import duration
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.protocol import budget, names
from gitrelay.protocol.budget import Amount
from gitrelay.protocol.words import Access
from gitrelay.remote.queue.text import LEASE_MAX

_ACCESS: Final = "read,write"
_POLL: Final = "5s"


@dataclass(frozen=True)
class Typed:
    """The options as they were typed; None, or nothing, for those that were not."""

    remote: str | None = None
    peers: str | None = None
    access: str | None = None
    signers: str | None = None
    revoked: str | None = None
    unsigned: bool = False
    budget: tuple[str, ...] = ()
    idle: str | None = None
    lease: str | None = None
    poll: str | None = None
    checks: bool = False


@dataclass(frozen=True)
class Offer:
    """What a worker offers at `remote`, and to whom: those in the file `signers`, None for everybody who can push.

    `budget` is for a day; `idle`, `lease` and `poll` are seconds, `lease` None for what the engine says. `checks`:
    whether commands that a request names are run after the answer.
    """

    remote: str
    peers: tuple[str, ...]
    access: tuple[Access, ...]
    signers: Path | None
    revoked: Path | None
    budget: Amount
    idle: float | None
    lease: float | None
    poll: float
    checks: bool


def chosen(repo: Repository, typed: Typed) -> Offer:
    """The options, else `relay.<remote>.NAME`, else `relay.NAME`. Raises UsageError that quotes the word at fault."""
    remote = typed.remote if typed.remote is not None else repo.setting("relay.workerremote")
    if remote is None:
        raise UsageError("--remote is missing", hint="--remote origin, or git config relay.workerRemote origin")

    def of(key: str, given: str | None, option: str) -> Choice | None:
        return settings.resolve(repo, remote, key, given, option)

    peers = of("workerpeers", typed.peers, "--peers")
    if peers is None:
        raise UsageError("--peers is missing", hint="--peers codex,claude, or git config relay.workerPeers codex")
    access = of("workeraccess", typed.access, "--access") or Choice(_ACCESS, "default")
    signers = None if typed.unsigned else of("signers", typed.signers, "--signers")
    if typed.unsigned and typed.signers is not None:
        raise UsageError("--signers and --unsigned exclude each other", hint="answer some, or everybody who can push")
    if signers is None and not typed.unsigned:
        raise UsageError(
            "say who is answered: --signers FILE, or --unsigned for everybody who can push",
            hint=f"git config relay.{remote}.signers FILE is --signers too",
        )
    revoked = of("revoked", typed.revoked, "--revoked")
    if revoked is not None and signers is None:
        if typed.revoked is not None:
            raise UsageError("--revoked goes with --signers", hint="everybody is answered with --unsigned")
        revoked = None
    idle = of("workeridle", typed.idle, "--idle")
    return Offer(
        remote,
        _peers(peers),
        _access(access),
        _path(signers),
        _path(revoked),
        _budget(of("workerbudget", None, ""), typed.budget),
        None if idle is None else duration.parse_limit(idle.value, idle.source),
        _lease(of("workerlease", typed.lease, "--lease")),
        _seconds(of("workerpoll", typed.poll, "--poll") or Choice(_POLL, "default")),
        typed.checks or _flag(of("workerchecks", None, "")),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _peers(choice: Choice) -> tuple[str, ...]:
    found = _words(choice.value)
    if not found:
        raise UsageError(f"{choice.source} {quote(choice.value)} names no peer", hint="names with commas: codex,claude")
    return tuple(names.check_slug(name, choice.source) for name in found)


def _access(choice: Choice) -> tuple[Access, ...]:
    found = _words(choice.value)
    if not found or not set(found) <= set(Access):
        raise UsageError(
            f"{choice.source} {quote(choice.value)}",
            hint="it is read, write, full, or several with commas",
            code=Code.BAD_ACCESS,
        )
    return tuple(Access(word) for word in found)


def _path(choice: Choice | None) -> Path | None:
    """The file that an option names from where one is, and a setting from the root: a tree is not to be trusted."""
    if choice is None:
        return None
    try:
        path = Path(choice.value).expanduser()
    except RuntimeError:  # ~NAME of nobody
        path = Path(choice.value)
    if not path.is_absolute() and not choice.source.startswith("--"):
        raise UsageError(
            f"{choice.source} {quote(choice.value)} is a relative path",
            hint="give the whole path",
            code=Code.BAD_CONFIG,
        )
    return path.absolute()


def _budget(choice: Choice | None, typed: tuple[str, ...]) -> Amount:
    if typed:
        return budget.parse(typed, "--budget-day")
    return Amount() if choice is None else budget.parse(choice.value.split(), choice.source)


def _flag(choice: Choice | None) -> bool:
    if choice is None:
        return False
    if choice.value.lower() not in ("true", "false", "yes", "no", "on", "off", "1", "0"):
        raise UsageError(f"{choice.source} {quote(choice.value)}", hint="it is true or false", code=Code.BAD_CONFIG)
    return choice.value.lower() in ("true", "yes", "on", "1")


def _seconds(choice: Choice) -> float:
    return duration.parse(choice.value, choice.source)


def _lease(choice: Choice | None) -> float | None:
    if choice is None:
        return None
    seconds = _seconds(choice)
    if seconds > LEASE_MAX:
        raise UsageError(f"{choice.source} {quote(choice.value)}", hint="a day at most", code=Code.BAD_DURATION)
    return seconds
