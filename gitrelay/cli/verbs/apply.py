"""`git relay apply`: bring what a call changed into this working tree."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option


@click.command("apply")
@click.option(
    "--theirs",
    multiple=True,
    metavar="PATH",
    shell_complete=candidates.files,
    help="On a conflict in PATH, a file or a folder below the top, take it as the call left it; repeatable.",
)
@click.option("--merge", is_flag=True, help="Leave conflicts as markers in the files.")
@click.option("--commit", is_flag=True, help="Also commit what was changed, and nothing else, on this branch.")
@click.option("--trailer", is_flag=True, help="Also print the line that you may add to a commit of it.")
@json_option
@click.argument("address", required=False, metavar="[ADDRESS]", shell_complete=candidates.addresses)
def command(
    address: str | None, theirs: tuple[str, ...], merge: bool, commit: bool, trailer: bool, as_json: bool
) -> int:
    """Bring what a call changed into this working tree.

    The changes between request and response are merged three ways with what is here. On a conflict
    nothing is changed, the files are named, and the exit code is 1; with --merge the files get conflict
    markers, and the exit code is 1 too. Only files are written, not the index; those of a submodule into
    its own working tree. That it was applied is recorded in the session.
    --trailer prints a line as 'Assisted-by: codex:MODEL [gitrelay ADDRESS]'; gitrelay adds it to no commit.
    """
    if merge and commit:
        raise click.UsageError("--merge and --commit exclude each other: markers are not to be committed")

    from gitrelay.calls import taking, within
    from gitrelay.calls.within import By
    from gitrelay.cli import addressing, output
    from gitrelay.errors import VERIFY_FAILED
    from gitrelay.history import exchanges
    from gitrelay.ledger.applying import Way
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.words import Access
    from gitrelay.provenance.lines import trailer as trailers

    ledger = open_ledger(Path.cwd())
    wanted = addressing.meant(ledger, address, pick=True)
    line = trailers.line(trailers.key(ledger.repo), exchanges.exchange(ledger, wanted)) if trailer else None
    by = By.here(ledger.repo, within.require(ledger, Access.WRITE, "git relay apply"))
    taken = taking.apply(ledger, wanted, by, Way(theirs, merge, str(wanted)), commit=commit)
    done = taken.applied
    code = VERIFY_FAILED if done.marked else 0
    output.note(taken.notes)
    if as_json:
        rows = [asdict(change) for change in done.changes]
        data: dict[str, object] = {
            "address": str(wanted),
            "files": rows,
            "left_out": done.left,
            "conflicts": done.marked,
        }
        data |= {"onto": taken.onto, "commit": taken.commit or None, "trailer": line}
        click.echo(output.envelope("apply", code, data))
        return code
    for left in done.left:
        output.say(f"not brought: {left}")
    for path in done.marked:
        output.say(f"conflict markers in {path}")
    for change in done.changes:
        click.echo(output.safe(f"{change.state} {change.path}"))
    if line is not None:
        click.echo(output.safe(line))
    if taken.commit:
        output.say(f"committed: {taken.commit[:12]}")
    if not done.changes and not done.left:
        output.say("nothing to change: what the call did is here already")
    return code
