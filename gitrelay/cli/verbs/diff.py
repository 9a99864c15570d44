"""`git relay diff`: what changed in the caller's files between request and response."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names


@click.command("diff")
@click.option("--stat", is_flag=True, help="Only which files, and how much.")
@json_option
@click.argument("address", metavar="ADDRESS", shell_complete=candidates.addresses)
@click.argument("paths", nargs=-1, metavar="[-- PATH...]", shell_complete=candidates.files)
def command(address: str, stat: bool, as_json: bool, paths: tuple[str, ...]) -> int:
    """Show what changed in the caller's files between request and response.

    Tracked and untracked files, not ignored ones, as they were when the request was recorded and when
    the answer was. PATHs are below the top of the working tree.
    """
    wanted = names.parse_address(address)

    from gitrelay.cli import output
    from gitrelay.git import userfiles
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    before, after = exchanges.trees(ledger, wanted)
    shared = exchanges.exchange(ledger, wanted).shared
    if shared:
        output.say(f"lines may be another's: {', '.join(shared)} could write in the same tree meanwhile")
    if as_json:
        rows = [asdict(change) for change in userfiles.changes(ledger.repo, before, after, paths)]
        data = {"address": str(wanted), "before": before, "after": after, "shared": list(shared), "files": rows}
        click.echo(output.envelope("diff", 0, data))
        return 0
    words = ["--stat"] if stat else []
    if not output.is_drawn():
        output.write(userfiles.diff(ledger.repo, before, after, paths, words=words))
        return 0

    from gitrelay.cli.screen import terminal

    with terminal.opened(ledger.repo) as seen:
        words = [f"--stat={seen.width}"] if stat else []
        shown = userfiles.diff(ledger.repo, before, after, paths, words=words, colour=seen.colours)
        seen.write(output.safe_git(shown))
    return 0
