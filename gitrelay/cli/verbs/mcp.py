"""`git relay mcp`: the verbs as tools of the Model Context Protocol."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gitrelay.cli.options import json_option
from gitrelay.ground import duration
from gitrelay.protocol.words import Access


@click.command("mcp")
@click.option(
    "--max-access",
    "most",
    type=click.Choice([access.value for access in Access]),
    default="write",
    help="The most that a call may be allowed: read, write (the default) or full.",
)
@click.option("--repo", metavar="DIR", help="Call in this folder alone. Default: the client's roots, else this one.")
@click.option("--wait", "wait", metavar="D", default="280s", help="The longest that a tool waits. Default 280s.")
@json_option
def command(most: str, repo: str | None, wait: str, as_json: bool) -> int:
    """Serve the verbs as tools on stdin and stdout, to an agent that may not run a shell.

    For a host of the Model Context Protocol, which starts it; 'git relay install --mcp' tells the hosts.
    The tools are relay_call, relay_wait, relay_show, relay_list, relay_cancel and relay_answer. A call
    that is not answered in time is 'pending', and goes on whatever happens to the server. With --json
    the tools are printed, and nothing is served.
    """
    limit = duration.parse(wait, "--wait")
    place = None if repo is None else Path(repo).resolve()
    if place is not None and not place.is_dir():
        raise click.UsageError(f"--repo {repo!r} is not a folder")
    if as_json:
        from gitrelay.cli import output
        from gitrelay.mcp import tools

        click.echo(output.envelope("mcp", 0, [tool.to_json() for tool in tools.TOOLS.values()]))
        return 0

    from gitrelay.mcp.bounds import Bounds
    from gitrelay.mcp.server import Server

    if sys.stdin.isatty():
        from gitrelay.cli import output

        output.say("serving on stdin and stdout, for a host that starts this; Ctrl-C ends it")
    # stdout carries messages alone: what anything else prints goes to stderr
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with open(0, "rb", buffering=-1, closefd=False) as stdin:
        Server(Bounds(Access(most), limit, place), stdin, out).serve()
    return 0
