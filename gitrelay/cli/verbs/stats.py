"""`git relay stats`: figures of the calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration

if TYPE_CHECKING:
    from gitrelay.history.figures import Amount, Figures
    from gitrelay.history.statistics import Rate


@click.command("stats")
@click.option("--since", metavar="D", help="Only calls asked since then: 2h, 7d, yesterday or 2026-11-20.")
@click.option(
    "--by",
    type=click.Choice(["peer", "model", "peer,model", "session", "day"]),
    help="A line for each of these.",
)
@click.option("--budget", is_flag=True, help="The budgets that hold now: the cap, what was used, what is left.")
@json_option
@click.argument("sessions", nargs=-1, metavar="[SESSION]...", shell_complete=candidates.sessions)
def command(sessions: tuple[str, ...], since: str | None, by: str | None, budget: bool, as_json: bool) -> int:
    """Print figures of the calls: outcomes, durations, tokens, cost.

    Of all sessions, archived ones too, or of those named: calls by outcome and reason, what peers claimed
    next to what the checks found, durations, tokens and cost. A percentile is the nearest rank, a value that
    occurred; days are those of the local time zone. What was not recorded is unknown, never 0: in a table
    '-' is unknown, and '+' behind a sum says that some calls did not report their part. With --by, SEEN is
    how many answers the checks passed, of those they passed or failed, CLAIMED the same by the peer's word;
    behind each is the 95 % interval of that share, or 'few' of fewer than 6.

    \b
    git relay stats --since 7d
    git relay stats --by peer,model
    git relay stats auth-refactor --json
    git relay stats --budget
    """
    begin = None if since is None else duration.since(since, "--since", time.time())
    if budget:
        if by or since or sessions:
            raise click.UsageError("--budget takes no other option: it shows the caps that hold now")
        return _budgets(as_json)

    from gitrelay.cli import output
    from gitrelay.errors import INTEGRITY, OK
    from gitrelay.history import batch, figures
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.record import remote_of

    found = batch.read(open_ledger(Path.cwd()), sessions)
    exchanges = [e for e in found.exchanges if begin is None or e.request.time >= begin]
    total = figures.figures(exchanges)
    groups = figures.grouped(exchanges, by) if by else []
    code = INTEGRITY if found.damaged else OK
    errors = output.damaged_errors(found.damaged)
    if as_json:
        data = {
            "by": by,
            "since": None if begin is None else round(begin),
            "sessions": len({e.address.session for e in exchanges}),
            "total": _json(total),
            "groups": [_json(group) for group in groups],
        }
        click.echo(output.envelope("stats", code, data, errors))
        return code
    if exchanges:
        from gitrelay.cli.screen import figures as drawn

        click.echo(drawn.table(by, groups, total) if by else drawn.overview(total))
    else:
        output.say("no calls")
    output.from_remotes(remote_of(e.rev) for e in exchanges)
    for error in errors:
        output.say(output.one_line(error["message"], error["hint"]))
    return code


def _json(f: Figures) -> dict[str, Any]:
    """Figures as --json gives them; keys are stable (docs/json.md)."""
    return {
        "group": f.group,
        "calls": f.calls,
        "pending": f.pending,
        "done": f.done,
        "error": f.error,
        "reasons": f.reasons,
        "verify": f.verify,
        "outcomes": f.outcomes,
        "checked_pass": f.checked_pass,
        "checks": asdict(f.checks),
        "seen": _rate(f.seen),
        "claimed": _rate(f.claimed),
        "duration_s": asdict(f.duration),
        "tokens": {
            name: {"known": a.known, "total": None if a.total is None else int(a.total)} for name, a in f.tokens.items()
        },
        "cost_usd": _amount(f.cost, float),
        "redacted": f.redacted,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = (round(end, 4) for end in rate.interval)
    return {"passed": rate.passed, "of": rate.of, "low": low, "high": high, "few": rate.is_few}


def _amount(amount: Amount, number: Callable[[Decimal], float]) -> dict[str, Any]:
    return {"known": amount.known, "total": None if amount.total is None else number(amount.total)}


def _budgets(as_json: bool) -> int:
    """Print the caps that hold now, of the day and of the calls that run."""
    from gitrelay.calls import budget, inflight
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.budget import UNITS, shown

    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    rows = []
    for one in budget.report(ledger):
        for unit in UNITS:
            cap, used = one.cap.budget.of(unit), one.used.of(unit)
            if cap is not None:
                left = None if used is None else max(cap - used, Decimal(0))
                rows.append((one, unit, cap, used, left))
    if as_json:
        data = [
            {
                "scope": one.cap.scope,
                "of": one.cap.of or None,
                "peer": one.cap.peer or None,
                "since": round(one.cap.since) or None,
                "unit": unit,
                "cap": float(cap),
                "used": None if used is None else float(used),
                "left": None if left is None else float(left),
                "by": list(one.by),
            }
            for one, unit, cap, used, left in rows
        ]
        click.echo(output.envelope("stats", 0, data))
        return 0
    if not rows:
        output.say("no budgets; 'git config relay.budget.day 5usd' sets one for the day")
        return 0
    table = [
        [
            one.cap.name,
            shown(unit, cap),
            "not measured" if used is None else shown(unit, used),
            "-" if left is None else shown(unit, left),
            " ".join(one.by),
        ]
        for one, unit, cap, used, left in rows
    ]
    click.echo(columns(["BUDGET OF", "CAP", "USED", "LEFT", "BY"], table))
    return 0
