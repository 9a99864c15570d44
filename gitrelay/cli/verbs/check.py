"""`git relay check`: whether a change has passed its review, from the record alone."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("check")
@click.option("--base", metavar="REF", help="What HEAD or BRANCH has and REF has not. Default: and the remote.")
@click.option("--to", metavar="PEER", help="Whose verdict counts. Default: relay.gatePeer, else anybody's.")
@click.option("--no-bypass", is_flag=True, help="An exception that a person recorded does not count.")
@json_option
@click.argument("change", required=False, metavar="[RANGE|BRANCH]")
def command(change: str | None, base: str | None, to: str | None, no_bypass: bool, as_json: bool) -> int:
    """Say whether a change has passed its review, from the record alone.

    The change is named as for 'review'. Nobody is asked and no network is used: it is what the hook
    pre-push looks up, and what CI can look up once the branches relay/review-* are pushed. Exit code 0:
    passed, or an exception; 1: failed, missing, stale or refused; 8: the review runs; 4: it ended without
    a verdict (docs/gate.md).
    """
    from gitrelay.cli import gatewords, output
    from gitrelay.gate import outgoing, record, settings
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol import names

    ledger = open_ledger(Path.cwd())
    reviewer = names.check_slug(to, "--to") if to is not None else settings.settings(ledger.repo).reviewer
    wanted, remote = outgoing.of_words(ledger.repo, change, base)
    found = record.judge(ledger, wanted, reviewer, remote=remote, exceptions=not no_bypass)
    code = found.exit_code
    if as_json:
        row = gatewords.row(wanted, found)
        errors = [] if found.lets_go else [gatewords.error(wanted, found)]
        click.echo(output.envelope("check", code, row, errors))
        return code
    click.echo(output.safe(gatewords.line(wanted, found)))
    findings = gatewords.findings(ledger, found)
    if findings:
        click.echo(output.safe(findings))
    if not found.lets_go:
        output.say(gatewords.next_step(wanted, found))
    return code
