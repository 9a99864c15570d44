"""`git relay req` and `wait` for a group of attempts."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.calls import attempts
from gitrelay.calls import group as groups
from gitrelay.calls.group import Group, Wish
from gitrelay.calls.order import Order
from gitrelay.cli import answers, faraway, output
from gitrelay.errors import Interrupted
from gitrelay.ledger.ledger import Ledger, open_ledger


def ask(
    order: Order, wish: Wish, *, limit: float | None, detach: bool, apply: bool, as_json: bool, on: str | None = None
) -> int:
    """Ask a group and print its answer; the exit code is that of the answer. `on`: workers of that remote answer."""
    ledger = open_ledger(Path.cwd())
    if on is not None:
        faraway.require_remote(ledger, on)
    group = groups.begin(ledger, order, wish, on or "")
    if detach:
        attempts.in_background(ledger, group)
        row = {"address": str(group.address), "file": None, "replayed": False}
        click.echo(output.envelope("req", 0, row) if as_json else str(group.address))
        return 0
    return finish(ledger, group, "req", limit=limit, apply=apply, as_json=as_json)


def finish(
    ledger: Ledger, group: Group, verb: str, *, limit: float | None, apply: bool = False, as_json: bool = False
) -> int:
    """Go on with a group until it is answered, and print that; after `limit` seconds another process goes on."""
    try:
        way = faraway.Attempts(ledger, group.on) if group.on else None
        found = attempts.go_on(ledger, group, limit, output.say, way)
    except KeyboardInterrupt:
        raise Interrupted(
            "interrupted: what ran was cancelled", hint=f"git relay wait {group.name} goes on with the rest"
        ) from None
    if found.response is None:
        attempts.in_background(ledger, group)
    elif apply:
        _apply(ledger, group)
    if as_json:
        return answers.print_exchanges(verb, [found], as_json=True, single=verb == "req", replayed=None)
    return answers.print_exchanges(verb, [found], as_json=False, single=True, ledger=ledger)


def _apply(ledger: Ledger, group: Group) -> None:
    from gitrelay.cli import applying
    from gitrelay.history import exchanges

    picked = groups.picked(ledger, group.name)
    if picked is None:
        output.say("not applied: no attempt was picked")
        return
    applying.at_once(ledger, [exchanges.exchange(ledger, picked)], {picked})
