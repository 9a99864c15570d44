"""`git relay uninstall`: what `install` wrote is taken away."""

from __future__ import annotations

import os

import click

from gitrelay.cli.options import agents_option, json_option, place_option
from gitrelay.cli.verbs.install import page_change, rows_of, say_changes, top_of, wanted_agents


@click.command("uninstall")
@agents_option
@place_option
@click.option("--force", is_flag=True, help="Remove files that were edited, too.")
@json_option
def command(agents: tuple[str, ...], project: bool, force: bool, as_json: bool) -> int:
    """Remove what 'install' wrote: skills, codex's rule, the server's entries, folders made for them.

    A file that was edited since is kept unless --force is given. Your sessions are not touched.
    """
    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.protocol.words import Access
    from gitrelay.setup import hosts, manual, skills

    within.require(within.ledger_here(), Access.WRITE, "git relay uninstall")

    wanted = wanted_agents(agents)
    targets = skills.skills(wanted, os.environ, top_of(project))
    if "codex" in wanted and not project:
        targets.append(skills.codex_rule(os.environ))
    changes = [change for change in skills.uninstall(targets, force=force) if change.action != "absent"]
    if not project:
        changes += hosts.uninstall(wanted, os.environ, force=force)
        changes += page_change(manual.uninstall(os.environ) if wanted == skills.AGENTS else None)
    if as_json:
        click.echo(output.envelope("uninstall", 0, rows_of(changes)))
    elif changes:
        say_changes(changes)
    else:
        output.say("nothing to remove")
    return 0
