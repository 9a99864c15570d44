"""What git config says of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gitrelay import duration
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.protocol import names
from gitrelay.text import quote

DEFAULT_BUDGET: Final = 240.0  # seconds; hosts were seen to close after 354 to 359 s


@dataclass(frozen=True)
class Settings:
    """What git config says of the gate; never a file of the working tree."""

    reviewer: str | None
    blocks: bool = True
    blocks_unevaluated: bool = False
    budget: float | None = DEFAULT_BUDGET
    tags: bool = False


def settings(repo: Repository) -> Settings:
    """`relay.gatePeer`, `relay.gate`, `relay.gateUnevaluated`, `relay.gateBudget`, `relay.gateTags`.

    Raises UsageError that quotes a bad value and says where it stands.
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
        bool(repo.flag("relay.gatetags")),
    )


def _mode(repo: Repository, key: str, default: str) -> str:
    values = repo.config.get(f"relay.{key.lower()}")
    if not values:
        return default
    value, where = values[-1]
    if value not in ("warn", "block"):
        raise UsageError(f"relay.{key} {quote(value)} in {where}", hint="it is warn or block", code=Code.BAD_CONFIG)
    return value
