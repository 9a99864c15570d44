"""`git relay check-again`: run the checks of an exchange again."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option


@click.command("check-again")
@click.option("--check", "checks", multiple=True, metavar="CMD", help="Run this instead; repeatable.")
@json_option
@click.argument("address", required=False, metavar="[ADDRESS]", shell_complete=candidates.addresses)
def command(address: str | None, checks: tuple[str, ...], as_json: bool) -> int:
    """Run the checks of an exchange again, and record the results.

    They run here and now, in this working tree; what was recorded before stays, and the record says who
    ran them. Exit code 1 if one does not pass.
    """
    from gitrelay.calls import checks as core
    from gitrelay.calls import settings, within, wording
    from gitrelay.calls.within import By
    from gitrelay.cli import addressing, output
    from gitrelay.errors import OK, VERIFY_FAILED
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access

    ledger = open_ledger(Path.cwd())
    wanted = addressing.meant(ledger, address)
    by = By.here(ledger.repo, within.require(ledger, Access.WRITE, "git relay check-again"))
    commands = [wording.checked(c) for c in checks]
    results = core.again(ledger, wanted, commands, settings.check_limit(ledger.repo), by)
    code = OK if all(r.word == "pass" for r in results) else VERIFY_FAILED
    if as_json:
        rows = [{"command": r.command, "result": r.word, "duration_s": round(r.seconds, 1)} for r in results]
        click.echo(output.envelope("check-again", code, {"address": str(wanted), "checks": rows}))
        return code
    for result in results:
        click.echo(output.safe(f"{result.word}: {result.command}"))
    return code
