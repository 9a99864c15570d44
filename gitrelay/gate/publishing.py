"""Sessions and the files of calls that leave with a push: said before they do, the first time for a remote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.gate.settings import Settings
from gitrelay.gate.updates import Update, is_name
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ledger import roots
from gitrelay.protocol.record import CODE, STEPS

_NAMED: Final = 5
_RECORD: Final = ("refs/heads/relay/", "refs/relay/")


def tell_first(
    repo: Repository, updates: Sequence[Update], remote: str, chosen: Settings, tell: Callable[[str], None]
) -> None:
    """Say which sessions and snapshots a push would publish, if the remote is not known to have any.

    `relay.pushSessions`: `warn` says it, `allow` is silent; with `block` UsageError is raised, whether it is the first
    time or not.
    """
    if chosen.publishing == "allow":
        return
    found = [u for u in updates if not u.deletes and u.remote_ref.startswith(_RECORD) and _is_ours(repo, u)]
    if not found:
        return
    sessions = [u.remote_ref for u in found if not u.remote_ref.startswith((CODE, STEPS))]
    files, steps = (sum(u.remote_ref.startswith(prefix) for u in found) for prefix in (CODE, STEPS))
    named = ", ".join(ref.removeprefix("refs/heads/") for ref in sessions[:_NAMED])
    more = f" and {len(sessions) - _NAMED} more" if len(sessions) > _NAMED else ""
    parts = [f"the sessions {named}{more} (every request and answer)"] if sessions else []
    parts += [f"the files of {files} session{'s' if files > 1 else ''}, untracked ones too"] if files else []
    parts += [f"the steps of {steps} session{'s' if steps > 1 else ''} (what peers did)"] if steps else []
    words = f"this push publishes {' and '.join(parts)} to {quote(remote)}"
    if chosen.publishing == "block":
        raise UsageError(
            f"{words}, and relay.pushSessions is block",
            hint="push the branches that you mean by name, or git -c relay.pushSessions=allow push ...",
            code=Code.SESSIONS_KEPT,
        )
    if not _has_some(repo, updates, remote):
        tell(f"WARNING: {words} for the first time; git config relay.pushSessions block stops that, allow is silent")


def _is_ours(repo: Repository, update: Update) -> bool:
    return update.remote_ref.startswith((CODE, STEPS)) or roots.is_recorded(repo, update.remote_ref, update.local)


def _has_some(repo: Repository, updates: Sequence[Update], remote: str) -> bool:
    """Whether the remote is known to have part of the record already."""
    if any(u.there is not None and u.remote_ref.startswith(_RECORD) for u in updates):
        return True
    return is_name(remote) and bool(repo.each_ref("%(refname)", f"refs/remotes/{remote}/relay"))
