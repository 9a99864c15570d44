"""`git relay fetch`: sessions from a remote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names

if TYPE_CHECKING:
    from gitrelay.remote.share.fetch import Fetched


@click.command("fetch")
@click.option(
    "--take",
    multiple=True,
    metavar="SESSION",
    shell_complete=candidates.sessions,
    help="Go on from the remote's SESSION; yours becomes SESSION-mine. Repeatable.",
)
@click.option("--no-code", is_flag=True, help="Requests and answers only, without the files of the calls.")
@json_option
@click.argument("words", nargs=-1, metavar="[REMOTE] [SESSION]...", shell_complete=candidates.remote_and_sessions)
def command(words: tuple[str, ...], take: tuple[str, ...], no_code: bool, as_json: bool) -> int:
    """Bring sessions from a remote, with the files of their calls.

    All of them, archived ones too, unless some are named. Each is held to the rules of a session before it is part
    of this repository, and only goes forward: one that went on here and there is refused (exit code 1), as is a
    remote that moved a session back, rewrote it or breaks the rules (7). --take goes on from theirs and loses nothing
    of yours.

    \b
    git relay fetch
    git relay fetch origin auth-refactor
    git relay fetch --take auth-refactor
    """
    from gitrelay.calls import inflight, within
    from gitrelay.cli import output
    from gitrelay.cli.sharing import exit_code, remote_meant, rows, show
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access
    from gitrelay.remote.share import fetch

    for session in (*words[1:], *take):
        names.check_session(session)
    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay fetch")
    remote = remote_meant(ledger, words, "fetch", pushes=False)
    inflight.settle_all(ledger)
    sessions = tuple(dict.fromkeys((*words[1:], *take)))
    tell = output.say if sys.stderr.isatty() and not as_json else lambda words: None
    found = fetch.fetch(ledger, remote, fetch.Wanted(sessions, take, not no_code), tell)
    code = exit_code(found.sent)
    if as_json:
        click.echo(output.envelope("fetch", code, _data(remote.name, found), _errors(found)))
        return code
    output.note(found.notes)
    show(rows(found.found, found.sent), found.sent, nothing=f"{remote.name} has no sessions")
    return code


def _errors(found: Fetched) -> list[dict[str, str]]:
    faults = [one.fault for one in found.sent if one.fault is not None]
    return [{"code": fault.code, "message": fault.message, "hint": fault.hint} for fault in faults]


def _data(remote: str, found: Fetched) -> dict[str, object]:
    tips = {one.session: one for one in found.found}
    sessions = [
        {"session": one.session, "result": one.result, "here": tips[one.session].here, "there": tips[one.session].there}
        for one in found.sent
    ]
    return {"remote": remote, "sessions": sessions, "notes": list(found.notes)}
