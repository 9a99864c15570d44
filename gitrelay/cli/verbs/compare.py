"""`git relay compare`: attempts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli import candidates as completion
from gitrelay.cli.options import json_option
from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote

if TYPE_CHECKING:
    from gitrelay.calls.candidates import Candidate
    from gitrelay.ledger.ledger import Ledger


@click.command("compare")
@click.option(
    "--diff",
    nargs=2,
    metavar="A B",
    help="Show how the files of two attempts differ: numbers of the table, sessions or addresses.",
)
@json_option
@click.argument("name", metavar="NAME", shell_complete=completion.sessions)
def command(name: str, diff: tuple[str, str] | None, as_json: bool) -> int:
    """Show the attempts of a group side by side.

    One line for each attempt: how it ended, its checks, the files and lines it changed, time, tokens and
    cost as far as they are known, and its tree; equal trees are named as equal. `git relay apply` takes
    one of them.

    \b
      git relay req --to codex --attempts 3 --check "pytest -q" --name faster "Make it faster."
      git relay compare faster
      git relay compare faster --diff 1 3
    """
    from gitrelay.calls import candidates, group, inflight
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    found = candidates.read(ledger, group.members(ledger, name))
    if diff is not None:
        _diff(ledger, name, _named(found, name, diff[0]), _named(found, name, diff[1]), as_json=as_json)
        return 0
    picked = group.picked(ledger, name)
    if as_json:
        attempts = [one.to_json() | {"picked": one.address == picked} for one in found]
        click.echo(output.envelope("compare", 0, {"name": name, "attempts": attempts}))
        return 0
    rows = []
    for number, one in enumerate(found, start=1):
        rows.append([str(number), "*" if one.address == picked else "", *candidates.row(one)])
    click.echo(columns(("N", "", *candidates.HEAD), rows))
    return 0


def _named(found: Sequence[Candidate], name: str, word: str) -> Candidate:
    """The attempt that `word` names: its number in the table, its session or its address. Raises UsageError."""
    for number, one in enumerate(found, start=1):
        if word in (str(number), str(one.address), one.address.session):
            return one
    raise UsageError(f"{quote(word)} is no attempt of {name}", hint=f"git relay compare {name}", code=Code.BAD_ADDRESS)


def _diff(ledger: Ledger, name: str, a: Candidate, b: Candidate, *, as_json: bool) -> None:
    from gitrelay.cli import output
    from gitrelay.git import userfiles

    if not a.tree or not b.tree:
        raise UsageError(
            "the files of one of them are not recorded", hint=f"git relay compare {name}", code=Code.NO_TREE
        )
    if not as_json:
        output.write(userfiles.diff(ledger.repo, a.tree, b.tree))
        return
    files = [asdict(change) for change in userfiles.changes(ledger.repo, a.tree, b.tree)]
    click.echo(output.envelope("compare", 0, {"a": str(a.address), "b": str(b.address), "files": files}))
