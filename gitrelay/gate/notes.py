"""Notes of a pass, so that the shell of `hooks/pre-push` finds it without python."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from gitrelay.gate import verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import Verdict
from gitrelay.git.repository import Repository
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.record import ARCHIVE, BRANCHES
from gitrelay.state.files import write_whole

_NOTES_MAX: Final = 500


def write_note(ledger: Ledger, change: Change, reviewer: str, remote: str, found: Verdict) -> None:
    """Make or remove the notes for `hooks/pre-push`; where that cannot be done, there are none."""
    if change.is_empty or not remote.isprintable():
        return
    folder = ledger.state.root / "passed"
    paths = [folder / f"{change.base or verdict.NONE}-{change.tree}"]
    if change.there is not None:  # the same without a question to git: the base follows from these two commits
        paths.append(folder / f"{change.there}-{change.head}")
    with contextlib.suppress(OSError):
        if found.state != verdict.PASSED or found.through or found.review is None:
            for path in paths:
                path.unlink(missing_ok=True)
            return
        session = found.review.address.session
        revs = [BRANCHES + session, ARCHIVE + session, *change.policy_revs]
        known = zip(revs, ledger.repo.objects(revs), strict=True)
        lines = [f"{rev} {there.oid if there else 'missing'}" for rev, there in known]
        where = "own" if _is_own_setting(ledger.repo) else "any"
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            write_whole(path, "".join(f"{line}\n" for line in (remote, f"{reviewer} {where}", *lines)).encode())
        for old in sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime)[:-_NOTES_MAX]:
            old.unlink(missing_ok=True)


def _is_own_setting(repo: Repository) -> bool:
    """Whether the repository's own file alone decides who reviews."""
    values = repo.config.get("relay.gatepeer")
    if not values or any(
        key.startswith(("include.", "includeif.", "extensions.worktreeconfig")) for key in repo.config
    ):
        return False
    return os.path.realpath(repo.place / values[-1][1]) == os.path.realpath(repo.common_dir / "config")
