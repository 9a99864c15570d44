"""`git relay peers`: each peer, where it was found, its version, where its settings come from; `test` tries one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code


@click.command("peers")
@click.option("--timeout", metavar="D", help="With test: the limit of each call. Default 5m.")
@json_option
@click.argument("words", nargs=-1, metavar="[test NAME]", shell_complete=candidates.peers_words)
def command(words: tuple[str, ...], timeout: str | None, as_json: bool) -> int:
    """List the peers and what was found of them.

    Built in are claude, codex, copilot, gemini, opencode, qwen and shell; any other program becomes a peer with
    'git config relay.NAME.command "PROGRAM ..."', any agent that speaks the Agent Client Protocol with
    'git config relay.NAME.acp "PROGRAM ..."'; those that are on PATH are named below the list.

    'peers test NAME' tries on this peer what any must be able to do, in a throw-away repository: it
    answers, continues, keeps to its access, writes, ends when cancelled. The calls are real, and paid
    for like any other. Exit code 1 if a case fails.
    """
    if not words:
        if timeout is not None:
            raise click.UsageError("--timeout goes with 'test NAME'")
        return _list(as_json)
    if len(words) != 2 or words[0] != "test":
        raise click.UsageError(f"{' '.join(words)!r}: it is 'peers' or 'peers test NAME'")
    return _test(words[1], timeout, as_json)


def _test(name: str, timeout: str | None, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.errors import OK, VERIFY_FAILED
    from gitrelay.ground import duration
    from gitrelay.setup import conformance

    if timeout is not None:
        duration.parse(timeout, "--timeout")
    repo, peer = conformance.find(Path.cwd(), name)
    calls = conformance.paid_calls(peer)
    output.say(f"trying {name} in a throw-away repository: {calls} paid calls, one after the other")
    rows: list[dict[str, Any]] = []
    errors: list[dict[str, str]] = []
    for result in conformance.run(repo, peer, timeout):
        rows.append(
            {
                "case": result.case,
                "outcome": result.outcome,
                "detail": result.detail,
                "seconds": round(result.seconds, 1),
            }
        )
        if result.outcome == conformance.FAIL:
            errors.append({"code": Code.CASE_FAILED, "message": f"{result.case}: {result.detail}", "hint": ""})
        if not as_json:
            why = f": {result.detail}" if result.detail else ""
            click.echo(output.safe(f"{result.outcome}  {result.case} ({result.seconds:.1f} s){why}"))
            sys.stdout.flush()
    code = VERIFY_FAILED if errors else OK
    if as_json:
        data = {"peer": name, "paid_calls": calls, "cases": rows}
        click.echo(output.envelope("peers", code, data, errors))
    return code


def _list(as_json: bool) -> int:
    from gitrelay import environment
    from gitrelay.calls import settings
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.peers import probe, registry
    from gitrelay.peers.acp.agent import Agent
    from gitrelay.peers.command import Program

    ledger = open_ledger(Path.cwd())
    repo = ledger.repo
    rows: list[dict[str, Any]] = []
    for name in sorted({*registry.BUILT_IN, *registry.configured(repo)}):
        peer = registry.find(repo, name)
        env = environment.for_peer(os.environ, settings.peer_environment(repo, name))
        program = probe.find(peer.capabilities.program, env)
        version = probe.version(ledger.state, program, peer.capabilities) if peer.capabilities.minimum else None
        source = "built in"
        if isinstance(peer, Program | Agent):
            source = peer.where
        rows.append(
            {
                "peer": name,
                "program": peer.capabilities.program,
                "path": str(program.path) if program.path else None,
                "version": version.text or None if version else None,
                "supported": program.path is not None and (version is None or version.supported),
                "access": list(peer.capabilities.access),
                "source": source,
                "acp": isinstance(peer, Agent),
                "settings": settings.of_peer(repo, name),
            }
        )
    if as_json:
        click.echo(output.envelope("peers", 0, rows))
        return 0
    if output.is_drawn():
        from gitrelay.cli.screen import rows as seen
        from gitrelay.cli.screen import terminal

        terminal.show_table(repo, seen.PEERS, map(seen.of_peer, rows))
        _settings(rows)
        return 0
    table = [
        [
            r["peer"],
            r["path"] or f"{r['program']} not found on PATH",
            r["version"] or "-",
            "yes" if r["supported"] else "no",
            ",".join(r["access"]),
            r["source"],
        ]
        for r in rows
    ]
    click.echo(columns(["PEER", "FOUND AT", "VERSION", "SUPPORTED", "ACCESS", "FROM"], table))
    for line in _unused_agents({row["path"] for row in rows if row["acp"]}):
        click.echo(line)
    _settings(rows)
    return 0


def _settings(rows: list[dict[str, Any]]) -> None:
    from gitrelay.cli import output

    for row in rows:
        for setting in row["settings"]:
            click.echo(f"{row['peer']}: {setting['name']} = {output.safe(setting['value'])} ({setting['source']})")


def _unused_agents(used: set[str | None]) -> list[str]:
    """A line for each known agent that is on PATH, speaks the Agent Client Protocol, and is not configured to."""
    from gitrelay import environment
    from gitrelay.peers import probe
    from gitrelay.peers.acp.known import KNOWN

    env = environment.for_peer(os.environ, {})
    lines = []
    for known in KNOWN:
        path = probe.find(known.words[0], env).path
        if path is not None and str(path) not in used:
            tried = f"tried with {known.tried}" if known.tried else "not tried, by its documents"
            lines.append(f"{known.name} speaks ACP ({tried}): git config relay.NAME.acp '{known.command}'")
    return lines
