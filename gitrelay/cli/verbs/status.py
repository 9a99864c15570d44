"""`git relay status`: what runs now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gitrelay.cli.options import json_option


@click.command("status")
@click.option("--all", "everything", is_flag=True, help="Also requests that wait for a person's answer.")
@json_option
def command(everything: bool, as_json: bool) -> int:
    """Show the calls that run now.

    For each: address, peer, age, time since its last output, and what is left of its limits. A call
    whose supervisor died is recorded as lost by this look. Of a call that another machine answers ('away')
    it is said whether a worker has taken it; its answer is taken, unless it has checks, which 'git relay wait' runs.
    """
    from gitrelay.calls import inflight
    from gitrelay.cli import faraway, output
    from gitrelay.cli.table import columns
    from gitrelay.ground.duration import render
    from gitrelay.history import batch, exchanges
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    now = time.time()
    rows: list[dict[str, Any]] = []
    for why in inflight.settle_all(ledger):
        output.say(f"git-relay: not recorded yet: {why}")
    for running, folder in inflight.running(ledger):
        quiet = now - (folder.last_output() or running.started)
        age = now - running.started
        limits = running.limits
        rows.append(
            {
                "address": str(running.address),
                "state": "running",
                "from": running.from_,
                "to": running.to,
                "age_s": round(age, 1),
                "last_output_s": round(quiet, 1) if folder.last_output() else None,
                "wall_left_s": round(limits.wall - age, 1) if limits.wall else None,
                "idle_left_s": round(limits.idle - quiet, 1) if limits.idle else None,
                "pid": running.peer_pid,
                "said": None,
            }
        )
    for away, words in faraway.seen(ledger):
        begun = exchanges.exchange(ledger, away.address)
        output.say(f"{away.address}: {words}")
        rows.append(
            {
                "address": str(away.address),
                "state": "away",
                "from": begun.from_,
                "to": begun.to,
                "age_s": round(now - begun.request.time, 1),
                "last_output_s": None,
                "wall_left_s": None,
                "idle_left_s": None,
                "pid": None,
                "said": words,
            }
        )
    if everything:
        known = {row["address"].partition("/")[0] for row in rows}
        for last in batch.waiting(ledger):
            if last.address.session not in known:
                rows.append(
                    {
                        "address": str(last.address),
                        "state": "waiting",
                        "from": last.from_,
                        "to": last.to,
                        "age_s": round(now - last.request.time, 1),
                        "last_output_s": None,
                        "wall_left_s": None,
                        "idle_left_s": None,
                        "pid": None,
                        "said": None,
                    }
                )
    if as_json:
        click.echo(output.envelope("status", 0, rows))
        return 0
    if not rows:
        output.say("nothing runs")
        return 0
    if output.is_drawn():
        from gitrelay.cli.screen import rows as seen
        from gitrelay.cli.screen import terminal

        terminal.show_table(ledger.repo, seen.CALLS, map(seen.of_call, rows))
        return 0

    def shown(seconds: float | None) -> str:
        return "-" if seconds is None else render(max(0.0, seconds))

    table = [
        [r["address"], f"{r['from']} -> {r['to']}", r["state"]]
        + [shown(r[key]) for key in ("age_s", "last_output_s", "wall_left_s", "idle_left_s")]
        for r in rows
    ]
    click.echo(columns(["ADDRESS", "WHO", "STATE", "AGE", "LAST OUTPUT", "WALL LEFT", "IDLE LEFT"], table))
    return 0
