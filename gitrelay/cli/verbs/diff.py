"""`git relay diff`: what changed in the caller's files between request and response."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option

if TYPE_CHECKING:
    from gitrelay.git.repository import Repository


@click.command("diff")
@click.option("--stat", is_flag=True, help="Only which files, and how much.")
@json_option
@click.argument("address", required=False, metavar="[ADDRESS]", shell_complete=candidates.addresses)
@click.argument("paths", nargs=-1, metavar="[-- PATH...]", shell_complete=candidates.files)
def command(address: str | None, stat: bool, as_json: bool, paths: tuple[str, ...]) -> int:
    """Show what changed in the caller's files between request and response.

    Tracked and untracked files, not ignored ones, as they were when the request was recorded and when
    the answer was. PATHs are below the top of the working tree.
    """
    from gitrelay.cli import addressing, output
    from gitrelay.git import userfiles
    from gitrelay.history import exchanges
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    wanted = addressing.meant(ledger, address, pick=True)
    before, after = exchanges.trees(ledger, wanted)
    found = exchanges.exchange(ledger, wanted)
    left = exchanges.left_out(ledger, found)
    if found.shared:
        output.say(f"lines may be another's: {', '.join(found.shared)} could write in the same tree meanwhile")
    sides = list(_sides(ledger.repo, before, after, paths))
    if as_json:
        rows = [
            asdict(replace(change, path=prefix + change.path))
            for repo, prefix, old, new, inside in sides
            for change in userfiles.changes(repo, old, new, inside)
        ]
        trees = {"address": str(wanted), "before": before, "after": after}
        data = {**trees, "shared": list(found.shared), "files": rows, "left_out": left}
        click.echo(output.envelope("diff", 0, data))
        return 0
    for line in left:
        output.say(f"not in it: {line}")
    words = ["--stat"] if stat else []
    if not output.is_drawn():
        for repo, prefix, old, new, inside in sides:
            output.write(userfiles.diff(repo, old, new, inside, words=[*words, *_names(prefix)]))
        return 0

    from gitrelay.cli.screen import terminal

    with terminal.opened(ledger.repo) as seen:
        words = [f"--stat={seen.width}"] if stat else []
        for repo, prefix, old, new, inside in sides:
            shown = userfiles.diff(repo, old, new, inside, words=[*words, *_names(prefix)], colour=seen.colours)
            seen.write(output.safe_git(shown))
    return 0


def _sides(
    repo: Repository, before: str, after: str, paths: Sequence[str], prefix: str = ""
) -> Iterator[tuple[Repository, str, str, str, tuple[str, ...]]]:
    """(repository, its place below the top, two trees, the paths to show in it); submodules come behind their own."""
    from gitrelay.git import merge
    from gitrelay.ledger import snapshot

    yield repo, prefix, before, after, tuple(paths)
    for path, link in merge.differences(repo, before, after).items():
        name = os.fsdecode(path)
        wanted = [word.rstrip("/") for word in paths]
        inside = [word.removeprefix(f"{name}/") for word in wanted if word.startswith(f"{name}/")]
        whole = not paths or any(name == word or name.startswith(f"{word}/") for word in wanted)
        found = snapshot.trees_of_module(repo, path, link) if inside or whole else None
        if found is not None:
            module, old, new = found
            yield from _sides(module, old, new, () if whole else inside, f"{prefix}{name}/")


def _names(prefix: str) -> list[str]:
    return [f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}"] if prefix else []
