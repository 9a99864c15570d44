"""`git relay pre-push`: what git's hook of that name is answered."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("pre-push")
@json_option
@click.argument("remote")
@click.argument("url", required=False)
def command(remote: str, url: str | None, as_json: bool) -> int:
    """Decide on a push: the hook pre-push calls this with git's own words and lines.

    REMOTE and URL are the hook's arguments, stdin is its stdin (githooks(5)); without lines there, what
    pre-commit says in its environment is taken. What has no verdict is reviewed now, for at most
    relay.gateBudget. Exit code 0 lets the push go. All settings: 'git relay help gate'.
    """
    from gitrelay.calls import inflight
    from gitrelay.cli import gatewords, output
    from gitrelay.cli.screen.progress import watching
    from gitrelay.errors import OK, Interrupted
    from gitrelay.gate import content, publishing, push, settings, updates
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.names import Address

    del url
    text = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    lines = updates.parse_updates(text) or updates.from_pre_commit(ledger.repo, os.environ)
    chosen = settings.settings(ledger.repo)
    waited: list[Address] = []

    def meanwhile(address: Address) -> Callable[[], None] | None:
        waited.append(address)
        return watching(ledger, [address]) if sys.stderr.isatty() else None

    def tell(words: str) -> None:
        output.say(f"git-relay: {words}")

    publishing.tell_first(ledger.repo, lines, remote, chosen, tell)
    try:
        decisions = push.decide(Path.cwd(), ledger, chosen, lines, remote, os.environ, tell, meanwhile)
    except KeyboardInterrupt:
        for address in waited[-1:]:
            inflight.cancel(ledger, address, "Ctrl-C")
        raise Interrupted("interrupted", hint="nothing was pushed") from None
    code = next((d.verdict.exit_code for d in decisions if d.stops), OK)
    for d in decisions:
        words = gatewords.Words(d.change, remote, chosen.reviewer)
        if d.verdict.state != "running":
            content.remove_patch(ledger.repo, d.change.session)
        tell(gatewords.line(d.change, d.verdict))
        findings = gatewords.findings(ledger, d.verdict)
        if findings:
            output.say(findings)
        if not d.verdict.lets_go:
            tell(gatewords.next_step(words, d.verdict))
            tell("this push is stopped" if d.stops else "WARNING: it is pushed WITHOUT a passing review")
    if chosen.shares:
        from gitrelay.remote.share import verdict

        let_go = [d.change.session for d in decisions if d.verdict.review is not None and d.verdict.lets_go]
        for words_ in verdict.share(ledger, remote, let_go) if let_go and code == OK else []:
            tell(words_)
    if as_json:
        rows = [gatewords.row(d.change, d.verdict, stops=d.stops) for d in decisions]
        errors = [
            gatewords.error(gatewords.Words(d.change, remote, chosen.reviewer), d.verdict) for d in decisions if d.stops
        ]
        click.echo(output.envelope("pre-push", code, rows, errors))
    return code
