"""`git relay demo`: a whole session with the embedded peer, in a throw-away repository."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import click

from gitrelay.cli.options import json_option
from gitrelay.errors import Code

# (task, the verdict it must come to): a change, a check that fails, the fix
_TURNS = (
    ("echo hello > greeting.txt", "pass"),
    ("grep world greeting.txt", "fail"),
    ("echo world >> greeting.txt && grep world greeting.txt", "pass"),
)


@click.command("demo")
@click.option("--keep", type=click.Path(), metavar="DIR", help="Make the repository here, and leave it.")
@json_option
def command(keep: str | None, as_json: bool) -> int:
    """Run a whole session in a throw-away repository and show its log.

    The embedded peer 'shell' needs no account: its task is a command, its exit code the verdict.
    """
    from gitrelay.calls import ask, inflight
    from gitrelay.calls.order import Order
    from gitrelay.cli import output
    from gitrelay.errors import CannotRecord, UsageError
    from gitrelay.git.opening import create_repository
    from gitrelay.history import exchanges
    from gitrelay.text import quote

    if keep is not None:
        place = Path(os.path.abspath(keep))
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UsageError(
                f"{quote(keep)} exists and is not an empty folder", hint="name another one", code=Code.EXISTS
            )
        place.mkdir(parents=True, exist_ok=True)
    else:
        place = Path(tempfile.mkdtemp(prefix="git-relay-demo-"))
    try:
        create_repository(place)
        for task, expected in _TURNS:
            output.say(f'$ git relay req --from demo --to shell --session demo "{task}"')
            ledger, asked = ask.ask(place, Order(task, ("shell",), from_="demo", session="demo"))
            found = inflight.wait(ledger, asked.address, 60.0)
            output.say(f"  {found.address}: {found.status}, verify {found.verify}")
            if found.verify != expected:
                raise CannotRecord(f"the demo did not go as it must: {found.address} is {found.reason or found.verify}")
        if as_json:
            rows = [output.exchange_json(e) for e in exchanges.exchanges(ledger, "demo", bodies=True)]
            click.echo(output.envelope("demo", 0, {"folder": str(place) if keep else None, "exchanges": rows}))
        else:
            output.say("$ git log relay/demo")
            output.write(ledger.repo.run("log", "--end-of-options", "refs/heads/relay/demo", "--"))
        if keep is not None:
            output.say(f"the repository is {place}")
    finally:
        if keep is None:
            shutil.rmtree(place, ignore_errors=True)
    return 0
