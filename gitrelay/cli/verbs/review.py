"""`git relay review`: have a change reviewed before it is pushed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code
from gitrelay.ground import duration


@click.command("review")
@click.option("--to", metavar="PEER", help="Who reviews. Default: relay.gatePeer.")
@click.option("--from", "from_", metavar="NAME", help="Who asks. Default: as for 'req'.")
@click.option(
    "--base",
    metavar="REF",
    help="Where the change begins: commits that REF has are no part of it. Default: the remotes' default branches.",
)
@click.option("--check", "checks", multiple=True, metavar="CMD", help="Run CMD after the answer; repeatable.")
@click.option("--timeout", metavar="D", help="Wall limit, as 15m. Default 1h.")
@click.option("--fix", "fixer", metavar="PEER", help="If it fails, let PEER fix it in a copy of this tree, in rounds.")
@click.option("--rounds", type=click.IntRange(1, 50), help="With --fix: at most so many rounds. Default 2.")
@click.option("--budget", multiple=True, metavar="B", help="What the review may use, and all rounds of --fix together.")
@click.option(
    "--on",
    metavar="REMOTE",
    shell_complete=candidates.remotes,
    help="Let a worker of this remote review; only one whose answers relay.REMOTE.workers names.",
)
@click.option("--again", is_flag=True, help="Also if there is a verdict already.")
@click.option("--wait", "wait", metavar="D", help="Wait at most this long; then exit 8, and the review goes on.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the address.")
@json_option
@click.argument("change", required=False, metavar="[RANGE|BRANCH]")
def command(
    change: str | None,
    to: str | None,
    from_: str | None,
    base: str | None,
    checks: tuple[str, ...],
    timeout: str | None,
    fixer: str | None,
    rounds: int | None,
    budget: tuple[str, ...],
    on: str | None,
    again: bool,
    wait: str | None,
    detach: bool,
    as_json: bool,
) -> int:
    """Have a change reviewed before it is pushed.

    The change is what HEAD, or BRANCH, has and no remote's default branch has, or the commits A..B. It is
    a call with read access in the session review-BRANCH; the answer's verify is the verdict, bound to base,
    trees, policy and reviewer, and looked up by the hook pre-push and by 'git relay check'. What of it has
    passed already is not reviewed again without --again.

    With --on REMOTE a worker of that remote reviews it. The commits go there, below refs/relay/review/, before
    anybody has passed them; the answer counts if it is signed by one of the file relay.REMOTE.workers.

    With --fix PEER a change that fails is fixed by PEER in a copy of this tree, checked and reviewed in rounds
    (a loop in the session fix-BRANCH); 'git relay apply' brings the result in. Never at push time.

    \b
    git relay review --to codex
    git relay review main..feature --to claude --check "pytest -q"
    git relay review --to claude --fix codex --rounds 2
    """
    if detach and wait is not None:
        raise click.UsageError("--detach and --wait exclude each other")
    if fixer is None and rounds is not None:
        raise click.UsageError("--rounds needs --fix PEER")
    if fixer is not None and detach:
        raise click.UsageError("--fix and --detach exclude each other: the review comes first")
    limit = None if wait is None else duration.parse(wait, "--wait")

    from gitrelay.calls import inflight
    from gitrelay.calls.settings import Given
    from gitrelay.cli import answers, faraway, gatewords, looping, output
    from gitrelay.cli.waiting import cancelled_by_ctrl_c, until_answered
    from gitrelay.errors import VERIFY_FAILED, UsageError
    from gitrelay.gate import content, notes, record, review, scope, settings, verdict
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.names import Address

    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    chosen = settings.settings(ledger.repo)
    reviewer = to or chosen.reviewer
    if reviewer is None:
        raise UsageError(
            "there is no reviewer", hint="name one: --to PEER, or git config relay.gatePeer PEER", code=Code.NO_REVIEWER
        )
    wanted, remote = scope.of_words(ledger, change, base, chosen, tell=output.say)
    reviews = record.Reviews(ledger)
    known = record.judge(reviews, wanted, reviewer)
    if known.state == verdict.SHALLOW:
        hint = gatewords.next_step(gatewords.Words(wanted, remote, reviewer), known)
        raise UsageError(known.why, hint=hint, code=Code.SHALLOW)
    recorded = known.review is not None and (
        known.state == verdict.RUNNING or (not again and known.state in (verdict.PASSED, verdict.FAILED))
    )
    addresses: list[Address] = []
    with cancelled_by_ctrl_c(addresses):
        if recorded and known.review is not None:
            addresses.append(known.review.address)
            output.say(f"{addresses[0]}: {'joined' if known.state == verdict.RUNNING else 'recorded before'}")
        else:
            asked_for = wanted if again else record.left(reviews, wanted, reviewer)
            given = Given(timeout=timeout, checks=checks, budget=budget)
            if on is not None:
                faraway.require_known_workers(ledger, on)
                order = review.order(ledger.repo, asked_for, reviewer, None, from_=from_, given=given)
                _, (asked,) = faraway.ask(order, on, None)
            else:
                _, asked = review.ask(Path.cwd(), ledger.repo, asked_for, reviewer, from_=from_, given=given)
            addresses.append(asked.address)
            output.note(asked.notes)
            output.say(str(asked.address))
        sys.stderr.flush()
        if not detach:
            (found,) = until_answered(ledger, addresses, limit)
    (address,) = addresses
    if detach:
        row = {"address": str(address), "file": None, "replayed": recorded}
        click.echo(output.envelope("review", 0, row) if as_json else str(address))
        return 0
    if found.response is not None:
        found = exchanges.exchange(ledger, address)
        notes.write(ledger, wanted, remote, reviewer, record.judge(record.Reviews(ledger), wanted, reviewer))
        content.remove_patch(ledger.repo, wanted.session)
    if fixer is not None and found.exit_code == VERIFY_FAILED:
        if not as_json:
            answers.print_exchanges("review", [found], as_json=False, single=True)
        from gitrelay.history.rounds import Terms

        terms = Terms(fixer, checks, reviewer, rounds or 2, budget, True, None, timeout)
        return looping.fix(ledger, wanted, address, terms, from_, limit, as_json)
    return answers.print_exchanges("review", [found], as_json=as_json, single=True)
