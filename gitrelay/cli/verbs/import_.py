"""`git relay import`: sessions out of a folder of the original file protocol."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli.options import json_option
from gitrelay.errors import Code


@click.command("import")
@json_option
@click.argument("folder", metavar="DIR")
def command(folder: str, as_json: bool) -> int:
    """Take sessions out of a '.relay' folder of the original file protocol.

    One-shots and sessions become branches, byte for byte; DIR stays as it is. A session that is broken
    or exists already is listed and left out, whole. Exit code 1 if one was.
    """
    from gitrelay.calls import settings, within
    from gitrelay.cli import output
    from gitrelay.errors import OK, VERIFY_FAILED
    from gitrelay.ledger import importing
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    within.require(ledger, Access.WRITE, "git relay import")
    found = importing.sessions(ledger, Path(folder), settings.caller(ledger.repo, None))
    faults = [one for one in found if one.fault]
    code = VERIFY_FAILED if faults else OK
    if as_json:
        rows = [{"session": one.session, "exchanges": one.exchanges, "fault": one.fault or None} for one in found]
        errors = [{"code": Code.NOT_IMPORTED, "message": f"{one.session}: {one.fault}", "hint": ""} for one in faults]
        click.echo(output.envelope("import", code, rows, errors))
        return code
    for one in found:
        if one.fault:
            click.echo(output.one_line(f"{one.session}: not imported: {one.fault}"), err=True)
        else:
            click.echo(f"{one.session}  {one.exchanges}")
    if not found:
        output.say("no messages there")
    return code
