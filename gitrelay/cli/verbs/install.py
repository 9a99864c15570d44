"""`git relay install`: the skill for the agents, codex's rule, the entry that starts the server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitrelay.cli.options import agents_option, json_option, place_option

if TYPE_CHECKING:
    from gitrelay.setup.skills import Change

_ASK = "codex runs commands in a sandbox in which 'git relay' can neither record nor reach a peer."
_CLAUDE = "claude asks before it calls; to be asked no more, allow Skill(relay) and Bash(git relay:*) in /permissions"


@click.command("install")
@agents_option
@place_option
@click.option("--allow-codex", is_flag=True, help="Also let codex run 'git relay' outside its sandbox.")
@click.option("--mcp", is_flag=True, help="Instead: the entry that starts 'git relay mcp', in each --agent's settings.")
@click.option(
    "--max-access", "most", type=click.Choice(["read", "write", "full"]), help="With --mcp: what the server may give."
)
@click.option("--force", is_flag=True, help="Overwrite files that were edited or that are not gitrelay's.")
@json_option
def command(
    agents: tuple[str, ...],
    project: bool,
    allow_codex: bool,
    mcp: bool,
    most: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Put the skill where the agents look, so that they know how to call.

    Two files serve all: .claude/skills/relay for claude, .agents/skills/relay for codex, gemini and
    opencode; in your own folders, or with --project in this working tree. Installing again updates them.
    In your own folders the man page comes too, if 'git relay --help' finds none.

    With --allow-codex the rule is written to $CODEX_HOME/rules/gitrelay.rules; without, it is shown. It
    lets codex run the verbs that call and read unasked and outside its sandbox, the peer shell included.

    With --mcp the agent gets the verbs as tools instead ('git relay help mcp'): one entry in its own settings, with
    codex's leave to call them unasked. 'uninstall' gives the file back as it was.
    """
    if mcp and (project or allow_codex or not agents):
        raise click.UsageError("--mcp goes with --agent, and not with --project or --allow-codex")
    if most and not mcp:
        raise click.UsageError("--max-access goes with --mcp")
    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.protocol.words import Access
    from gitrelay.setup import manual, skills

    within.require(within.ledger_here(), Access.WRITE, "git relay install")

    wanted = wanted_agents(agents)
    if mcp:
        return _entries(wanted, most, force, as_json)
    if allow_codex and "codex" not in wanted:
        raise click.UsageError("--allow-codex is about codex: add --agent codex")
    targets = skills.skills(wanted, os.environ, top_of(project))
    rule = skills.codex_rule(os.environ)
    changes = skills.install([*targets, *([rule] if allow_codex else [])], force=force)
    offered = "codex" in wanted and not allow_codex and skills.look(rule).state != "current"
    page = page_change(manual.install(os.environ) if not project else None)
    if as_json:
        rows = rows_of([*changes, *page, *([skills.Change(rule, "offered")] if offered else [])])
        click.echo(output.envelope("install", 0, rows))
        return 0
    say_changes([*changes, *page])
    double = skills.codex_double(os.environ)
    if "codex" in wanted and double is not None:
        output.say(f"codex finds a second skill named relay, {double}, and then loads neither: remove that one")
    if "claude" in wanted:
        output.say(_CLAUDE)
    if offered:
        output.say(f"{_ASK} This rule in {rule.path} lets it, every peer and access included:")
        output.say(f"    {skills.RULE}\n'git relay install --agent codex --allow-codex' writes it.")
    return 0


def _entries(agents: Sequence[str], most: str | None, force: bool, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.setup import hosts

    changes = hosts.install(agents, os.environ, most, force=force)
    if as_json:
        click.echo(output.envelope("install", 0, rows_of(changes)))
        return 0
    say_changes(changes)
    if "codex" in agents:
        output.say("codex may call the tools unasked; they run outside its sandbox, the peer shell included")
    if "claude" in agents:
        output.say("claude asks before it calls; to be asked no more, allow mcp__relay in /permissions")
    return 0


def page_change(done: tuple[Path, str] | None) -> list[Change]:
    """What was done with the man page, as the changes of other files are told; it belongs to no agent."""
    from gitrelay.setup.skills import Change, Target

    return [] if done is None else [Change(Target("man", (), done[0], "", 0), done[1])]


def rows_of(changes: Sequence[Change]) -> list[dict[str, object]]:
    """Changes as the envelope's data; keys are stable (docs/json.md)."""
    return [
        {"file": str(c.target.path), "kind": c.target.kind, "agents": list(c.target.agents), "action": c.action}
        for c in changes
    ]


def say_changes(changes: Sequence[Change]) -> None:
    from gitrelay.cli import output

    for c in changes:
        why = ": it was edited, or is not gitrelay's" if c.action == "kept" else ""
        output.say(f"{c.action}: {c.target.path} ({', '.join((c.target.kind, *c.target.agents))}){why}")


def wanted_agents(given: Sequence[str]) -> tuple[str, ...]:
    """The agents that were named; all of them if none was."""
    from gitrelay.setup import skills

    return skills.AGENTS if not given or "all" in given else tuple(given)


def top_of(project: bool) -> Path | None:
    """The working tree for --project. Raises UsageError if there is none."""
    if not project:
        return None
    from gitrelay.git.repository import Repository

    repo = Repository.open(Path.cwd())
    if repo.top is None:
        raise repo.has_no_tree("a bare repository has no working tree", hint="use --user")
    return repo.top
