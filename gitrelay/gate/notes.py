"""Notes of a pass, so that the shell of `hooks/pre-push` finds it without python.

A note is `<git common dir>/relay/passed/<head>`: the remote, the reviewer and whether the repository's own
configuration alone names it, base and tree for the reader, then one line `NAME VALUE` for every name of git's that the
pass was told from (the session, the policy, the default branches). It holds while none of these has changed. No time is
in it, so a clock that jumps or a file that is restored changes nothing.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.gate import record, scope, verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.settings import settings
from gitrelay.gate.verdict import Verdict
from gitrelay.git.repository import Repository
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import ARCHIVE, BRANCHES
from gitrelay.state.files import make_folder, write_whole

_NOTES_MAX: Final = 500


def write(ledger: Ledger, change: Change, remote: str, reviewer: str | None, found: Verdict) -> None:
    """Note a pass of `change` by the configured reviewer, or remove the note of one. Never fails."""
    values = ledger.repo.config.get("relay.gatepeer")
    if not change.sure or not remote.isprintable() or not values or reviewer != values[-1][0]:
        return
    path = ledger.state.root / "passed" / change.head
    with contextlib.suppress(OSError, RelayError):
        # with relay.gateShare the hook has more to do than to let the push go
        if found.state != verdict.PASSED or found.review is None or ledger.repo.flag("relay.gateshare"):
            path.unlink(missing_ok=True)
            return
        where = "own" if _is_own_setting(ledger.repo) else "any"
        head = [remote, f"{reviewer} {where}", f"{change.base or verdict.NONE} {change.tree}"]
        make_folder(path.parent)
        write_whole(path, "".join(f"{line}\n" for line in (*head, *_told_from(ledger, change, found))).encode())
        for old in sorted(path.parent.iterdir(), key=lambda p: p.stat().st_mtime)[:-_NOTES_MAX]:
            old.unlink(missing_ok=True)


def _told_from(ledger: Ledger, change: Change, found: Verdict) -> list[str]:
    """`NAME VALUE` of every revision that the pass was told from; a missing one is `missing`."""
    reviews = (found.review, *found.through)
    sessions = dict.fromkeys(one.address.session for one in reviews if one is not None)
    revs = [place + name for name in sessions for place in (BRANCHES, ARCHIVE)]
    revs = list(dict.fromkeys([f"{change.head}^{{tree}}", *revs, *change.policy_revs, *change.pins]))
    known = zip(revs, ledger.repo.objects(revs), strict=True)
    return [f"{rev} {there.oid if there else 'missing'}" for rev, there in known]


def refresh(ledger: Ledger, branch: str) -> None:
    """Note what the record says now of what `branch` would push, so that the push finds it. Never fails."""
    with contextlib.suppress(RelayError, OSError):
        chosen = settings(ledger.repo)
        change, remote = scope.of_words(ledger, branch, None, chosen)
        write(ledger, change, remote, chosen.reviewer, record.judge(record.Reviews(ledger), change, chosen.reviewer))


def _is_own_setting(repo: Repository) -> bool:
    """Whether the repository's own file alone decides who reviews."""
    values = repo.config.get("relay.gatepeer")
    if not values or any(
        key.startswith(("include.", "includeif.", "extensions.worktreeconfig")) for key in repo.config
    ):
        return False
    return os.path.realpath(repo.place / values[-1][1]) == os.path.realpath(repo.common_dir / "config")
