"""The line that a person may add to a commit of what an exchange did; gitrelay itself adds it to none."""

from __future__ import annotations

import re
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain, quote
from gitrelay.history.exchange import Exchange

SETTING: Final = "relay.trailer"
_DEFAULT: Final = "Assisted-by"  # as the rules of the Linux kernel have it: NAME:MODEL [TOOL]
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def key(repo: Repository) -> str:
    """The key of the line: `relay.trailer`, else `Assisted-by`. Raises UsageError for what is no key to git."""
    value = repo.setting(SETTING)
    if value is not None and not _KEY.fullmatch(value):
        raise UsageError(
            f"{SETTING} {quote(value)} is no key of a trailer: letters, digits and '-'",
            hint=f"git config {SETTING} {_DEFAULT}",
            code=Code.BAD_CONFIG,
        )
    return value or _DEFAULT


def line(name: str, e: Exchange) -> str:
    """`Assisted-by: codex:MODEL [gitrelay auth/01]`; without the model if the peer reported none."""
    model = plain((e.response.model if e.response else None) or "", 80)
    return f"{name}: {plain(e.to, 64)}{f':{model}' if model else ''} [gitrelay {e.address}]"
