"""`git relay check`: whether a change has passed its review, from the record alone."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("check")
@click.option(
    "--base",
    metavar="REF",
    help="Where the change begins: commits that REF has are no part of it. Default: the remotes' default branches.",
)
@click.option("--to", metavar="PEER", help="Whose verdict counts. Default: relay.gatePeer, else anybody's.")
@click.option("--no-bypass", is_flag=True, help="An exception that a person recorded does not count.")
@json_option
@click.argument("change", required=False, metavar="[RANGE|BRANCH]")
def command(change: str | None, base: str | None, to: str | None, no_bypass: bool, as_json: bool) -> int:
    """Say whether a change has passed its review, from the record alone.

    The change is named as for 'review'. Nobody is asked and no network is used: it is what the hook
    pre-push looks up, and what CI can look up once the branches relay/review-* are pushed. Exit code 0:
    passed, or an exception; 1: failed, missing, stale or refused; 2: nothing is new; 4: it ended without
    a verdict, the clone is shallow, or the verdicts are not fetched; 8: the review runs. With CI=true the
    states in which nothing was judged exit with 1 ('git relay help gate').
    """
    from gitrelay.calls import inflight
    from gitrelay.cli import gatewords, output
    from gitrelay.errors import VERIFY_FAILED
    from gitrelay.gate import notes, record, scope, settings, verdict
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol import names

    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    chosen = settings.settings(ledger.repo)
    reviewer = names.check_slug(to, "--to") if to is not None else chosen.reviewer
    wanted, remote = scope.of_words(ledger, change, base, chosen)
    reviews = record.Reviews(ledger, remotes=True)
    found = record.judge(reviews, wanted, reviewer, exceptions=not no_bypass)
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
    if found.state in (verdict.MISSING, verdict.STALE) and record.is_not_fetched(reviews, wanted, remote, in_ci=in_ci):
        found = verdict.Verdict(verdict.NOT_FETCHED, why="this clone has no reviews of the branch, or older ones")
    elif not no_bypass and not reviews.elsewhere:  # the hook lets a push go by what is in this repository
        notes.write(ledger, wanted, remote, reviewer, found)
    code = VERIFY_FAILED if in_ci and found.state in verdict.UNTOLD else found.exit_code
    words = gatewords.Words(wanted, remote, reviewer)
    if as_json:
        errors = [] if found.lets_go else [gatewords.error(words, found)]
        click.echo(output.envelope("check", code, gatewords.row(wanted, found), errors))
        return code
    click.echo(output.safe(gatewords.line(wanted, found)))
    shared = exchanges.exchange(ledger, found.review.address).shared if found.review is not None else ()
    if shared:
        output.say(f"while it was reviewed, {', '.join(shared)} could write in the same tree: lines may be another's")
    findings = gatewords.findings(ledger, found)
    if findings:
        click.echo(output.safe(findings))
    if not found.lets_go:
        output.say(gatewords.next_step(words, found))
    return code
