"""What a word on the command line may become: sessions, addresses, peers, from the repository.

Verbs name these with their options, so nothing heavy is imported here before a question is asked.

Every one of these is called while a person presses TAB: outside of a repository, in a damaged one, or without git
the answer is nothing, never an error. What is offered ends on a command line, so names that are no slugs (a ref from
elsewhere may be called `relay/$(reboot)`) are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.errors import RelayError
from gitrelay.protocol import names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gitrelay.ledger.ledger import Ledger

Callback = Callable[[click.Context, click.Parameter, str], list[str]]


def _beginning(answer: Callable[[Ledger, click.Context, str], Sequence[str]]) -> Callback:
    """A click callback out of a question to the ledger; what it raises becomes an empty answer."""

    @functools.wraps(answer)
    def callback(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            found = answer(_ledger(ctx), ctx, incomplete)
        except (RelayError, OSError, ValueError):
            return []
        given = ctx.params.get(param.name or "")
        taken = given if isinstance(given, tuple) else ()
        return [text for text in found if text.startswith(incomplete) and text not in taken]

    return callback


def _ledger(ctx: click.Context) -> Ledger:
    from gitrelay.ledger.ledger import open_ledger

    return open_ledger(Path.cwd() / (ctx.find_root().params.get("folder") or ""))


def _sessions(ledger: Ledger, *, open_: bool = True, archived: bool = True) -> list[str]:
    """Slugs only, the one that spoke last first."""
    from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, name_of

    prefixes = [BRANCHES] * open_ + [ARCHIVE] * archived + [TRACKED] * (open_ and archived)
    rows = ledger.repo.each_ref("%(committerdate:unix)%00%(refname)", *prefixes)
    found = {name_of(ref): int(time or 0) for time, ref in reversed(rows)}
    return [name for name, _ in sorted(found.items(), key=lambda row: (-row[1], row[0])) if names.is_session(name)]


@_beginning
def sessions(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """Every session, archived ones too."""
    return _sessions(ledger)


@_beginning
def open_sessions(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    return _sessions(ledger, archived=False)


@_beginning
def movable_sessions(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """For `archive`: those that are not archived; with --restore those that are."""
    return _sessions(ledger, open_=not ctx.params.get("restore"), archived=bool(ctx.params.get("restore")))


@_beginning
def addresses(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    return _addresses(ledger, incomplete)


@_beginning
def anything(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """A session or an address."""
    found = _sessions(ledger)
    return found if incomplete[:1] != "@" and "/" not in incomplete else _addresses(ledger, incomplete)


def _addresses(ledger: Ledger, incomplete: str) -> list[str]:
    """`SESSION/` first, as with folders; the turns of a session once it is the only one."""
    if incomplete.startswith("@"):
        return ["@last"]
    session, slash, _ = incomplete.partition("/")
    fitting = [name for name in _sessions(ledger) if name == session or not slash]
    fitting = [name for name in fitting if name.startswith(session)]
    if len(fitting) == 1:
        tip = ledger.tip(fitting[0]) or ledger.tip(fitting[0], archived=True)
        return [str(names.Address(fitting[0], id_)) for id_ in (tip.ids if tip else [])]
    return [name if names.is_one_shot(name) else f"{name}/" for name in fitting]


@_beginning
def running(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """The addresses of calls that run, the newest first; nothing is healed by a TAB."""
    calls = [folder.load() for folder in ledger.state.calls() if folder.is_alive()]
    last = ["@last"] if incomplete.startswith("@") else []
    return last + [str(call.address) for call in reversed(calls) if call is not None and names.is_session(call.session)]


@_beginning
def questions(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """The addresses of questions that wait for an answer."""
    from gitrelay.history.questions import waiting

    return [str(found.address) for found in waiting(ledger)]


@_beginning
def waiting(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """The addresses of requests that have no answer, for who answers by hand; nothing behind the first word."""
    from gitrelay.history import batch

    return [] if ctx.params.get("words") else [str(found.address) for found in batch.waiting(ledger)]


@_beginning
def peers(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    from gitrelay.peers import registry

    return sorted({*registry.BUILT_IN, *registry.configured(ledger.repo)})


@_beginning
def peers_words(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """For `peers`: `test`, then a peer's name."""
    from gitrelay.peers import registry

    words = ctx.params.get("words") or ()
    return ["test"] if not words else sorted({*registry.BUILT_IN, *registry.configured(ledger.repo)})


@_beginning
def remotes(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    parts = [key.split(".", 1)[1].rpartition(".") for key in ledger.repo.config if key.startswith("remote.")]
    return sorted({name for name, _, key in parts if key == "url"})


@_beginning
def remote_and_sessions(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """For `push` and `fetch`: a remote, then sessions; with --no-share sessions only."""
    if ctx.params.get("words") or ctx.params.get("share") is False:
        return _sessions(ledger)
    parts = [key.split(".", 1)[1].rpartition(".") for key in ledger.repo.config if key.startswith("remote.")]
    return sorted({name for name, _, key in parts if key == "url"})


@_beginning
def turns(ledger: Ledger, ctx: click.Context, incomplete: str) -> list[str]:
    """For `res --re`: the ids of the session that --session names, the one without an answer first."""
    tip = ledger.tip(str(ctx.params.get("session")))
    if tip is None:
        return []
    return sorted(tip.ids, key=lambda id_: id_ != tip.pending)


def access(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from gitrelay.protocol.words import Access

    return [word for word in Access if word.startswith(incomplete)]


def shells(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from gitrelay.setup.completion import SHELLS

    return [word for word in SHELLS if word.startswith(incomplete) and not ctx.params.get("words")]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The shell knows the files better."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]
