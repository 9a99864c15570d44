"""`git relay web`: the site of the sessions on 127.0.0.1, up to date as turns land."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from gitrelay.cli.options import json_option


@click.command("web")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Default: one that is free.")
@click.option("--open", "open_", is_flag=True, help="Open it in your browser.")
@json_option
def command(port: int, open_: bool, as_json: bool) -> int:
    """Serve the sessions as a site on this machine, live.

    What 'export' writes, as it stands now; pages follow what is recorded while they are open. The
    address is printed: it holds a secret, and without it nobody on this machine is shown anything.
    Nothing can be changed through it. Ctrl-C ends it, with exit code 130.
    """
    import secrets

    from gitrelay import ledger
    from gitrelay.cli import output
    from gitrelay.report.live import Live
    from gitrelay.report.server import Server

    ledger_ = ledger.open_ledger(Path.cwd())
    with Server(Live(ledger_), secrets.token_urlsafe(24), port) as server, contextlib.ExitStack() as after:
        if as_json:
            click.echo(output.envelope("web", 0, {"url": server.url, "port": server.port}))
        else:
            click.echo(server.url)
            output.say("Ctrl-C ends it")
        if open_:
            from gitrelay.report.opening import opened

            if not after.enter_context(opened(ledger_.state, server.url)):
                output.say("git-relay: no browser was found; open the address yourself")
        server.serve_forever(poll_interval=0.2)
    return 0
