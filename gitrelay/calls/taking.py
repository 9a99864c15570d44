"""Taking what a call changed: brought into the caller's tree, and recorded in the session.

So a later reader knows which changes were taken, by whom, and which tree they came to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gitrelay.calls.within import By
from gitrelay.errors import Busy, Conflict, RelayError
from gitrelay.git.repository import Repository
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import applying, snapshot
from gitrelay.ledger.applying import Applied, Way
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol.applied import APPLIED, CONFLICT, ApplyResult
from gitrelay.protocol.names import Address

_LINES_MAX: Final = 500  # files that the record names


@dataclass(frozen=True)
class Taken:
    """What was applied, the tree it came to, the commit that was made of it, and what to tell."""

    applied: Applied
    onto: str
    commit: str = ""
    notes: list[str] = field(default_factory=list)


def apply(ledger: Ledger, address: Address, by: By, way: Way, *, commit: bool = False) -> Taken:
    """Bring the changes of an exchange into the working tree, and record it.

    Raises Conflict, which is recorded too, and what `exchanges.trees` raises. If it cannot be recorded that is a note.
    """
    repo = ledger.repo
    before, after = exchanges.trees(ledger, address)
    if repo.top is None:
        raise repo.has_no_tree("a bare repository has no files to change", hint="use a clone")
    applying.finish(repo)
    onto = snapshot.here(repo)
    try:
        done = applying.apply(repo, before, after, way, onto)
    except Conflict as e:
        _record(ledger, address, by, ApplyResult(onto.tree, CONFLICT, by.name, (e.message,)))
        raise
    lines = [f"{change.state} {change.path}" for change in done.changes[:_LINES_MAX]]
    lines += [f"conflict markers in {path}" for path in done.marked]
    word = CONFLICT if done.marked else APPLIED
    notes = _record(ledger, address, by, ApplyResult(onto.tree, word, by.name, tuple(lines)))
    made = ""
    if commit and done.changes and not done.marked:
        made = _commit(repo, exchanges.exchange(ledger, address), [change.path for change in done.changes])
    return Taken(done, onto.tree, made, notes)


def _record(ledger: Ledger, address: Address, by: By, result: ApplyResult) -> list[str]:
    try:
        with locked(ledger, address.session) as held:
            tip = held.tip()
            if tip is None:
                return ["not recorded: the session is archived"]
            if tip.pending is not None:
                raise Busy(f"{Address(address.session, tip.pending)} is in flight")
            files = snapshot.take(ledger.repo, address.session)
            held.append_apply(tip, address.id, result, by.trailers, files=files)
            return list(held.notes)
    except RelayError as e:
        return [f"not recorded: {e.message}"]


def _commit(repo: Repository, found: Exchange, paths: list[str]) -> str:
    """Commit these files, and nothing else that is staged, as the user would: with their hooks."""
    subject = found.request.subject.partition(": ")[2] or f"Apply {found.address}"
    message = f"{subject}\n\nRelay-Exchange: {found.address}\n"
    hooks = repo.users_setting("core.hookspath") or str(repo.common_dir / "hooks")
    own = ("-c", f"core.hooksPath={hooks}")
    listed = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    words = ("--pathspec-from-file=-", "--pathspec-file-nul")
    repo.run("add", "--all", *words, stdin=listed, users=True)
    repo.run(*own, "commit", "--quiet", "--only", "-m", message, *words, stdin=listed, users=True)
    return repo.ref("HEAD") or ""
