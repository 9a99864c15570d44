"""`git relay scan`: look for secrets in what is recorded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code


@click.command("scan")
@json_option
@click.argument("sessions", metavar="[SESSION]...", shell_complete=candidates.sessions, nargs=-1)
def command(sessions: tuple[str, ...], as_json: bool) -> int:
    """Look for secrets in what is recorded.

    With the rules of today, and the patterns of relay.redact, in all sessions or in those named, archived
    ones too: each finding with its address, commit, file, line and rule, never with the secret. Exit code 1
    if there is one. Nothing is changed.
    """
    from gitrelay.audit import leaks
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.errors import OK, VERIFY_FAILED
    from gitrelay.ledger.ledger import open_ledger

    found = leaks.find(open_ledger(Path.cwd()), sessions)
    code = VERIFY_FAILED if found else OK
    if as_json:
        errors = [
            {
                "code": Code.SECRET,
                "message": f"{one.address}: {one.file}, line {one.line}: {one.rule}",
                "hint": f"revoke it, then look at: git show {one.commit}",
            }
            for one in found
        ]
        click.echo(output.envelope("scan", code, [asdict(one) for one in found], errors))
        return code
    if not found:
        output.say("no secrets found")
        return code
    rows = [[one.address, one.commit[:12], one.file, str(one.line), one.rule] for one in found]
    click.echo(columns(["ADDRESS", "COMMIT", "FILE", "LINE", "RULE"], rows))
    output.say(f"{len(found)} found; revoke them: what is in git stays there")
    return code
