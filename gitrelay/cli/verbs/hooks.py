"""`git relay hooks install|remove|list`: gitrelay's git hooks in a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli.options import json_option

if TYPE_CHECKING:
    from gitrelay.git.repository import Repository
    from gitrelay.setup.hooks import Change, Hook


@click.command("hooks")
@click.option("--to", metavar="PEER", help="With install pre-push: who reviews; kept as relay.gatePeer in .git/config.")
@click.option(
    "--unevaluated",
    type=click.Choice(["warn", "block"]),
    help="With install pre-push: what happens to a push when no review can be had; kept as relay.gateUnevaluated.",
)
@click.option("--force", is_flag=True, help="Replace or remove a gitrelay hook even if it was edited.")
@json_option
@click.argument("action", type=click.Choice(["install", "remove", "list"]), metavar="install|remove|list")
@click.argument("hooks", nargs=-1, metavar="[HOOK]...")
def command(
    action: str, hooks: tuple[str, ...], to: str | None, unevaluated: str | None, force: bool, as_json: bool
) -> int:
    """Install, remove or list gitrelay's git hooks in this repository.

    HOOK is pre-push (a review before a push), update (in a bare repository: sessions only grow) or
    reference-transaction (the same here). Without one, install takes pre-push, in a bare repository
    update, and remove takes all.

    They go where git looks for hooks. A hook that is there is kept in HOOK.d/ and goes first; remove
    puts it back as it was, and leaves hooks that are not gitrelay's and the settings of the gate. A
    hooks folder that is part of the working tree is not touched: the line to add to your own hook is shown.

    \b
    git relay hooks install pre-push --to codex --unevaluated warn
    git relay hooks remove
    """
    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.git.repository import Repository
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.protocol.words import Access
    from gitrelay.setup import hooks as installed

    for option, value in (("--to", to), ("--unevaluated", unevaluated)):
        if value is not None and (action != "install" or (hooks and "pre-push" not in hooks)):
            raise click.UsageError(f"{option} belongs to 'install pre-push'")
    unknown = next((name for name in hooks if name not in installed.HOOKS), None)
    if unknown is not None:
        raise click.UsageError(f"there is no hook {unknown!r}; it is {', '.join(installed.HOOKS)}")
    repo = Repository.open(Path.cwd())
    if action == "list":
        if hooks:
            raise click.UsageError("'list' takes no HOOK")
        return _list(installed.listing(repo), as_json)
    within.require(Ledger(repo), Access.WRITE, f"git relay hooks {action}")
    if action == "install":
        changes = installed.install(repo, hooks or (_default(repo),), reviewer=to, unevaluated=unevaluated, force=force)
    else:
        changes = installed.remove(repo, hooks or installed.HOOKS, force=force)
    if as_json:
        click.echo(output.envelope("hooks", 0, [_row(c.hook) | {"action": c.action} for c in changes]))
        return 0
    if action == "remove":
        _say_removed(repo, changes, named=bool(hooks))
        return 0
    _say_installed(changes)
    if repo.top is not None and not changes[0].hook.path.is_relative_to(repo.common_dir):
        output.say("this folder is core.hooksPath: every repository that is configured so runs these hooks")
    if any(c.hook.name == "pre-push" for c in changes):
        output.say(_without_review(Repository.open(Path.cwd()).setting("relay.gateunevaluated")))
    return 0


def _without_review(unevaluated: str | None) -> str:
    """What the hook does when no review can be had, and how to choose."""
    why = "if no review can be had (the reviewer is logged out, has no quota or is not installed)"
    if unevaluated == "block":
        return f"{why} the push is stopped; to let it go with a warning: git config relay.gateUnevaluated warn"
    choose = "" if unevaluated else "; choose with --unevaluated warn or --unevaluated block"
    return f"{why} the push goes on with a warning{choose}"


def _default(repo: Repository) -> str:
    return "update" if repo.top is None else "pre-push"


def _say_installed(changes: Sequence[Change]) -> None:
    from gitrelay.cli import output

    for c in changes:
        kept = f"; the hook that was there is {c.hook.kept} and goes first" if c.hook.kept else ""
        output.say(f"{c.action}: {c.hook.path}{kept}")


def _say_removed(repo: Repository, changes: Sequence[Change], *, named: bool) -> None:
    """What is gone, what was left and why, and which settings of the gate stay."""
    from gitrelay.cli import output

    for c in changes:
        if c.action == "removed":
            back = "; the hook that was there before is back" if c.hook.state == "foreign" else ""
            output.say(f"removed: {c.hook.path}{back}")
        elif named or c.hook.state == "foreign":
            why = "it is not gitrelay's" if c.hook.state == "foreign" else "there is none"
            output.say(f"left: {c.hook.path}; {why}")
    removed = [c.hook.name for c in changes if c.action == "removed"]
    if not removed and not named:
        output.say(f"no hook of gitrelay's in {changes[0].hook.path.parent}: nothing was removed")
    for name in ("relay.gatePeer", "relay.gateUnevaluated") if "pre-push" in removed else ():
        value, where = repo.config.get(name.lower(), [("", "")])[-1]
        if value and where.endswith(".git/config"):
            output.say(f"{name} is still {value}; to forget it: git config --unset {name}")


def _list(hooks: Sequence[Hook], as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.cli.table import columns

    if as_json:
        click.echo(output.envelope("hooks", 0, [_row(hook) | {"action": None} for hook in hooks]))
        return 0
    rows = [[h.name, h.state, str(h.path), str(h.kept or "")] for h in hooks]
    click.echo(columns(["HOOK", "STATE", "FILE", "GOES FIRST"], rows))
    return 0


def _row(hook: Hook) -> dict[str, str | None]:
    return {
        "hook": hook.name,
        "state": hook.state,
        "file": str(hook.path),
        "kept": str(hook.kept) if hook.kept is not None else None,
    }
