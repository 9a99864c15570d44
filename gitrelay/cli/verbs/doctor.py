"""`git relay doctor`: what is missing or skewed, and the command that fixes it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli.options import json_option
from gitrelay.errors import Code, RelayError

if TYPE_CHECKING:
    from gitrelay.setup.finding import Finding


def _queues() -> list[Finding]:
    """A row for each remote that a queue was tried on; no remote is asked now."""
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote import address
    from gitrelay.remote.queue import abilities, dispatch
    from gitrelay.setup.finding import Finding

    try:
        ledger = open_ledger(Path.cwd())
        known = abilities.all_known(ledger.repo, ledger.state)
    except RelayError:
        return []
    rows = [
        Finding(f"queue {name}", "warn", found.why, "git remote add queue URL, for another server")
        if found.why
        else Finding(f"queue {name}", "ok", "it can hold a queue for workers")
        for name, found in known
    ]
    for name in address.names(ledger.repo):
        try:
            told = dispatch.described(ledger.repo, name)
        except RelayError as e:
            rows.append(Finding(f"queue {name}", "warn", e.message, e.hint))
            continue
        if told is not None:
            rows.append(Finding(f"queue {name}", "warn" if told.fix else "ok", told.words, told.fix))
    return rows


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Check what calls need, and name the command that fixes what is missing.

    Exit code 0 means that a call to at least one peer besides shell can work here; 4 that none can.
    Warnings are about single peers and agents and do not change it. Logins are not tried: that
    would cost a call. Nothing is changed.
    """
    from gitrelay.cli import output
    from gitrelay.setup import doctor

    rows = doctor.examine(Path.cwd(), os.environ)
    code = doctor.exit_code(rows)
    rows[-1:-1] = _queues()
    if as_json:
        errors = [
            {"code": Code.DOCTOR, "message": f"{r.check}: {r.found}", "hint": r.fix} for r in rows if r.state == "fail"
        ]
        click.echo(output.envelope("doctor", code, [dataclasses.asdict(row) for row in rows], errors if code else []))
        return code
    from gitrelay.cli.screen import findings, terminal

    drawn = output.is_drawn()
    with terminal.opened(paged=False) as seen:
        seen.print(findings.lines(rows, seen.width if drawn else None, colours=drawn and seen.colours))
    return code
