"""What git config says of sharing, and the choice that is made for single sessions."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote

PRIVATE: Final = "relay.private"


class Sharing(StrEnum):
    """`relay.share`: whether a session that a remote does not have yet may be published there."""

    NEVER = "never"
    ASK = "ask"
    ALWAYS = "always"


def sharing(repo: Repository) -> Sharing:
    """`relay.share`, `ask` if it is not set. Raises UsageError that quotes a bad value and names its source."""
    values = repo.config.get("relay.share")
    if not values:
        return Sharing.ASK
    value, where = values[-1]
    if value not in tuple(Sharing):
        raise UsageError(f"relay.share {quote(value)} in {where}", hint="never, ask or always", code=Code.BAD_CONFIG)
    return Sharing(value)


def is_private(repo: Repository, session: str) -> bool:
    """Whether `relay.private`, which may be given often, has the session: by name, or by a pattern as `review-*`."""
    return any(fnmatch.fnmatchcase(session, value) for value, _ in repo.config.get(PRIVATE, []))


def keep_private(repo: Repository, sessions: Sequence[str]) -> None:
    """Remember in this repository's own config that `sessions` are not to be pushed."""
    for session in sessions:
        if not is_private(repo, session):
            repo.run("config", "--local", "--add", PRIVATE, session)


def allow(repo: Repository, sessions: Sequence[str]) -> None:
    """Forget that `sessions` are private. Raises UsageError for one that a pattern, or another file, says it of."""
    for session in sessions:
        repo.run("config", "--local", "--unset-all", PRIVATE, f"^{re.escape(session)}$", ok=(0, 5))
    repo.__dict__.pop("listed_config", None)
    repo.__dict__.pop("config", None)
    for session in sessions:
        for value, where in repo.config.get(PRIVATE, []):
            if fnmatch.fnmatchcase(session, value):
                raise UsageError(
                    f"session {session} is private by {PRIVATE} {quote(value)} in {where}",
                    hint="take that line out first",
                    code=Code.SHARE,
                )
