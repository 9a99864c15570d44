"""What git config says of the gate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground import duration
from gitrelay.ground.text import quote
from gitrelay.protocol import names

DEFAULT_BUDGET: Final = 240.0  # seconds; hosts were seen to close after 354 to 359 s


@dataclass(frozen=True)
class Settings:
    """What git config says of the gate; never a file of the working tree."""

    reviewer: str | None
    blocks: bool = True
    blocks_unevaluated: bool = False
    budget: float | None = DEFAULT_BUDGET
    tags: bool = True
    notes: bool = True
    bases: tuple[str, ...] = ()
    publishing: str = "warn"
    shares: bool = False


def settings(repo: Repository) -> Settings:
    """`relay.gatePeer`, `relay.gate`, `relay.gateUnevaluated`, `relay.gateBudget`, `relay.gateTags`,
    `relay.gateNotes`, `relay.gateBase`, `relay.pushSessions`, `relay.gateShare`.

    Raises UsageError that quotes a bad value and names its source.
    """
    values = repo.config.get("relay.gatepeer")
    reviewer = names.check_slug(values[-1][0], f"relay.gatePeer in {values[-1][1]}") if values else None
    budget: float | None = DEFAULT_BUDGET
    values = repo.config.get("relay.gatebudget")
    if values:
        budget = duration.parse_limit(values[-1][0], f"relay.gateBudget in {values[-1][1]}")
    return Settings(
        reviewer,
        _mode(repo, "gate", "block") == "block",
        _mode(repo, "gateUnevaluated", "warn") == "block",
        budget,
        repo.flag("relay.gatetags") is not False,
        repo.flag("relay.gatenotes") is not False,
        tuple(dict.fromkeys(_branch(*value) for value in repo.config.get("relay.gatebase", []))),
        _mode(repo, "pushSessions", "warn", ("allow", "warn", "block")),
        repo.flag("relay.gateshare") is True,
    )


def _branch(name: str, where: str) -> str:
    if re.fullmatch(r"[\w][\w./+@-]*", name) is None or ".." in name:
        raise UsageError(f"relay.gateBase {quote(name)} in {where} is no branch", code=Code.BAD_CONFIG)
    return name


def _mode(repo: Repository, key: str, default: str, words: tuple[str, ...] = ("warn", "block")) -> str:
    values = repo.config.get(f"relay.{key.lower()}")
    if not values:
        return default
    value, where = values[-1]
    if value not in words:
        raise UsageError(
            f"relay.{key} {quote(value)} in {where}", hint=f"it is {' or '.join(words)}", code=Code.BAD_CONFIG
        )
    return value
