"""What `push` and `fetch` print, and their exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from gitrelay.cli import output
from gitrelay.cli.table import columns
from gitrelay.errors import BUSY, INTEGRITY, NO_ANSWER, OK, VERIFY_FAILED, Code, UsageError
from gitrelay.ground.text import quote
from gitrelay.protocol import names

if TYPE_CHECKING:
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.remote.address import Remote
    from gitrelay.remote.share.compare import Compared
    from gitrelay.remote.share.push import Sent

_WORST: Final = (INTEGRITY, NO_ANSWER, VERIFY_FAILED, BUSY)
_QUIET: Final = "same"
_MEANING: Final = {
    "ahead": "here is more: git relay push",
    "behind": "there is more: git relay fetch",
    "moved-back": "the remote has less than it had",
    "rewritten": "the remote has another history than it had",
    "gone": "the remote had it, and has it no more",
    "diverged": "it went on in both places",
}


def remote_meant(ledger: Ledger, words: Sequence[str], verb: str, *, pushes: bool) -> Remote:
    """The remote that `words` begin with, or the default one. Raises UsageError, with the command that was meant."""
    from gitrelay.remote import address

    known = address.names(ledger.repo)
    if words and words[0] not in known and names.is_session(words[0]) and words[0] in ledger.taken(""):
        remote = address.remote(ledger.repo, None, pushes=pushes)
        raise UsageError(
            f"there is no remote {quote(words[0])}, but a session",
            hint=f"git relay {verb} {' '.join((remote.name, *words))}",
            code=Code.UNKNOWN_REMOTE,
        )
    return address.remote(ledger.repo, words[0] if words else None, pushes=pushes)


def exit_code(sent: Sequence[Sent]) -> int:
    """The worst of what happened: a remote that lost something, one that refused, a session in two histories."""
    codes = {one.fault.exit_code for one in sent if one.fault is not None}
    return next((code for code in _WORST if code in codes), max(codes, default=OK))


def rows(found: Sequence[Compared], sent: Sequence[Sent], *, pushed: bool = False) -> list[list[str]]:
    """A row for each session that is not as it was, with the commit that the remote has now."""
    tips = {one.session: one for one in found}
    now = {one.session: tips[one.session].here for one in sent if pushed and one.result in ("new", "updated")}
    return [
        [
            one.session,
            one.result,
            (now.get(one.session) or tips[one.session].there or "-")[:12],
            _MEANING.get(one.result, ""),
        ]
        for one in sent
        if one.result != _QUIET and one.session in tips
    ]


def show(table: Sequence[Sequence[str]], sent: Sequence[Sent], *, nothing: str) -> None:
    """The rows on stdout, errors and a summary on stderr."""
    if table:
        click.echo(columns(["SESSION", "RESULT", "THERE", ""], [list(row) for row in table]))
    for fault in dict.fromkeys((one.fault.message, one.fault.hint) for one in sent if one.fault is not None):
        click.echo(output.one_line(*fault), err=True)
    counts: dict[str, int] = {}
    for one in sent:
        counts[one.result] = counts.get(one.result, 0) + 1
    output.say(", ".join(f"{count} {result}" for result, count in sorted(counts.items())) or nothing)
