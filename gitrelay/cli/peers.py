"""`git relay peers`: each peer, where it was found, its version, where its settings come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from gitrelay.cli.options import json_option


@click.command("peers")
@json_option
def command(as_json: bool) -> int:
    """List the peers and what was found of them.

    Built in are claude, codex, gemini, opencode and shell; any other program becomes a peer with
    'git config relay.NAME.command "PROGRAM ..."'.
    """
    from gitrelay import call, environment, peers, probe, settings
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.peers.command import Program

    ledger = call.open_ledger(Path.cwd())
    repo = ledger.repo
    rows: list[dict[str, Any]] = []
    for name in sorted({*peers.BUILT_IN, *peers.configured(repo)}):
        peer = peers.find(repo, name)
        env = environment.for_peer(os.environ, settings.peer_environment(repo, name))
        program = probe.find(peer.capabilities.program, env)
        version = probe.version(ledger.state, program, peer.capabilities) if peer.capabilities.minimum else None
        source = "built in"
        if isinstance(peer, Program):
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
                "settings": settings.of_peer(repo, name),
            }
        )
    if as_json:
        click.echo(output.envelope("peers", 0, rows))
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
    for row in rows:
        for setting in row["settings"]:
            click.echo(f"{row['peer']}: {setting['name']} = {output.safe(setting['value'])} ({setting['source']})")
    return 0
