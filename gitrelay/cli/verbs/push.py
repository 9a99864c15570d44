"""`git relay push`: sessions to a remote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import counted

if TYPE_CHECKING:
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.remote.share.plan import Plan
    from gitrelay.remote.share.push import Sent


@click.command("push")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Publish what the remote has never had, without a question.")
@click.option(
    "--share/--no-share",
    "share",
    default=None,
    help="Keep the SESSIONs on this machine from now on and push nothing; or take that back and push them.",
)
@click.option("--no-code", is_flag=True, help="Requests and answers only, without the files of the calls.")
@click.option("--again", is_flag=True, help="Send again what the remote had and has lost.")
@click.option("--allow-secrets", is_flag=True, help="Send what 'git relay scan' finds secrets in, too.")
@json_option
@click.argument("words", nargs=-1, metavar="[REMOTE] [SESSION]...", shell_complete=candidates.remote_and_sessions)
def command(
    words: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    share: bool | None,
    no_code: bool,
    again: bool,
    allow_secrets: bool,
    as_json: bool,
) -> int:
    """Send sessions to a remote, with the files of their calls.

    All of them, archived ones too, unless some are named; REMOTE is the branch's own or origin. A session and its
    files arrive together or not at all, and nothing there is ever taken back: a session that went on there too is
    refused (exit code 1), also what holds a secret; a remote that lost what it had is told (7). What is published
    for the first time is said, and asked for: relay.share is ask, always or never. More: 'git relay help sharing'.

    \b
    git relay push
    git relay push origin auth-refactor --yes
    git relay push --no-share salary-talks
    """
    from gitrelay.calls import inflight, within
    from gitrelay.cli import output
    from gitrelay.cli.sharing import exit_code, remote_meant, rows, show
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access
    from gitrelay.remote.share import plan, push, settings

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay push")
    if share is False:
        return _keep(ledger, words, as_json)
    remote = remote_meant(ledger, words, "push", pushes=True)
    sessions = tuple(dict.fromkeys(words[1:]))
    if share:
        settings.allow(ledger.repo, _named(sessions, "--share"))
    elif settings.sharing(ledger.repo) == settings.Sharing.NEVER:
        raise UsageError(
            "relay.share is never: no session leaves this machine",
            hint=f"git relay push {remote.name} --share SESSION sends one; git config relay.share ask",
            code=Code.SHARE,
        )
    inflight.settle_all(ledger)
    tell = _teller(as_json)
    here = plan.local(ledger, sessions)
    tell(f"reading what {remote.name} has")
    made = plan.plan(ledger, remote, here, again=again, code=not no_code)
    tell(f"looking for secrets in {counted(len(made.moves), 'session')}")
    made = plan.weighed(ledger, made)
    output.note(made.notes)
    _say_what_is_public(made)
    if made.leaks and not allow_secrets:
        _refuse_secrets(made)
    if dry_run:
        sent = [push.Sent(one.session, _planned(made, one.session, one.state)) for one in made.found]
    else:
        if made.first and not (yes or share or _is_settled(ledger)):
            _ask(made)
        sent = push.push(ledger, made, here, tell)
    code = exit_code(sent)
    if as_json:
        errors = [{"code": s.fault.code, "message": s.fault.message, "hint": s.fault.hint} for s in sent if s.fault]
        click.echo(output.envelope("push", code, _data(made, sent, dry_run=dry_run), errors))
        return code
    show(rows(made.found, sent, pushed=not dry_run), sent, nothing="no sessions to push")
    return code


def _keep(ledger: Ledger, words: tuple[str, ...], as_json: bool) -> int:
    """Remember that sessions stay here."""
    from gitrelay.cli import output
    from gitrelay.remote.share import plan, settings

    sessions = [word for word in _named(words, "--no-share") if not settings.is_private(ledger.repo, word)]
    if sessions:
        plan.local(ledger, sessions)
    settings.keep_private(ledger.repo, sessions)
    if as_json:
        click.echo(output.envelope("push", 0, {"private": list(words)}))
    else:
        output.say(f"kept on this machine: {', '.join(words)} ({settings.PRIVATE} in .git/config)")
    return 0


def _named(sessions: tuple[str, ...], option: str) -> tuple[str, ...]:
    if not sessions:
        words = "[REMOTE] SESSION" if option == "--share" else "SESSION"
        raise click.UsageError(f"{option} is about sessions: git relay push {option} {words}")
    return sessions


def _teller(as_json: bool) -> Any:
    """Says what is done now to a person at a terminal, and nothing to others."""
    from gitrelay.cli import output

    return output.say if sys.stderr.isatty() and not as_json else lambda words: None


def _is_settled(ledger: Ledger) -> bool:
    from gitrelay.remote.share.settings import Sharing, sharing

    return sharing(ledger.repo) == Sharing.ALWAYS


def _planned(made: Plan, session: str, state: str) -> str:
    return state if session not in made.moves else "new" if session in made.first else "updated"


def _say_what_is_public(made: Plan) -> None:
    """The first time: which sessions the remote would have, and what comes with them."""
    if not made.first:
        return
    from gitrelay.cli import output

    named = ", ".join(made.first[:5]) + (f" and {len(made.first) - 5} more" if len(made.first) > 5 else "")
    public = made.public
    output.say(f"{made.remote.name} has never had: {named}")
    files = f"; {counted(public.files, 'file')} of the working tree, untracked ones too" if public.files else ""
    messages = f"{counted(public.exchanges, 'exchange')} (every request and answer)"
    output.say(f"it gets {messages}{files}; {_size(public.size)} in all")
    output.say("secrets: none found" if not made.leaks else f"secrets: {len(made.leaks)} found")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB" if count >= 1e4 else f"{count} bytes"


def _refuse_secrets(made: Plan) -> None:
    from gitrelay.errors import Conflict

    found = made.leaks[0]
    more = f" and {len(made.leaks) - 1} more" if len(made.leaks) > 1 else ""
    raise Conflict(
        f"nothing was sent: {found.address}: {found.file}, line {found.line}: {found.rule}{more}",
        hint="git relay scan lists them; revoke them; --no-share keeps a session here, --allow-secrets sends it",
        code=Code.SECRET,
    )


def _ask(made: Plan) -> None:
    """Raise UsageError unless a person says yes."""
    count = counted(len(made.first), "session")
    if sys.stdin.isatty() and sys.stderr.isatty():
        if click.confirm(f"Publish {count} on {made.remote.name}?", err=True):
            return
        raise UsageError("nothing was sent", hint="git relay push --no-share SESSION keeps one here", code=Code.SHARE)
    raise UsageError(
        f"{count} would be published on {made.remote.name} for the first time, and nobody is here to say yes",
        hint=f"git relay push {made.remote.name} --yes, or 'git config relay.share always'",
        code=Code.SHARE,
    )


def _data(made: Plan, sent: list[Sent], *, dry_run: bool) -> dict[str, object]:
    from dataclasses import asdict

    tips = {one.session: one for one in made.found}
    return {
        "remote": made.remote.name,
        "dry_run": dry_run,
        "sessions": [
            {
                "session": one.session,
                "result": one.result,
                "here": tips[one.session].here,
                "there": tips[one.session].there,
            }
            for one in sent
        ],
        "first": list(made.first),
        "public": asdict(made.public),
        "findings": [asdict(leak) for leak in made.leaks],
    }
