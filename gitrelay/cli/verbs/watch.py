"""`git relay watch`: follow all sessions, or one, live."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.ground import duration

if TYPE_CHECKING:
    from gitrelay.calls.following import Event, Following
    from gitrelay.calls.looking import Looker

_PAUSE: Final = 1.0  # seconds between two looks


@click.command("watch")
@click.option("--plain", is_flag=True, help="One line an event, as on a pipe.")
@click.option("--timeout", metavar="D", help="End after this time.")
@json_option
@click.argument("session", required=False, shell_complete=candidates.sessions)
def command(session: str | None, plain: bool, timeout: str | None, as_json: bool) -> int:
    """Follow all sessions, or one: new turns, what running peers do, limits left.

    Questions that wait for an answer come first. On a terminal a list that keys move through: Enter opens an
    exchange, Escape goes back, q quits. On a pipe, and with --plain, one line an event: time, address, kind,
    text. The time is the event's own; that of a call that runs is its peer's last output, that of a call that
    another machine answers (away) when its remote was last asked, every ten seconds. The kinds are
    question, running, away, opened, request, event, response, check, apply, archived, restored and removed. With
    --json what runs now, without following. Quitting, or Ctrl-C, cancels nothing.

    \b
    git relay watch
    git relay watch --plain auth-refactor
    git relay watch | grep --line-buffered ' response '
    """
    limit = None if timeout is None else duration.parse(timeout, "--timeout")

    from gitrelay.calls import inflight
    from gitrelay.calls.following import Following
    from gitrelay.cli import output
    from gitrelay.errors import INTERRUPTED
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    inflight.settle_all(ledger)
    following = Following(ledger, session)
    if as_json:
        click.echo(output.envelope("watch", 0, _running(following)))
        return 0
    end = None if limit is None else time.monotonic() + limit
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
    try:
        return _plain(following, end) if plain or not terminal else _board(following, end)
    except KeyboardInterrupt:
        return INTERRUPTED


def _look(following: Following, looker: Looker) -> list[Event]:
    """What is new, once calls that have died are recorded."""
    from gitrelay.calls import inflight

    inflight.settle_all(following.ledger)
    looker.away()
    return following.look()


def _plain(following: Following, end: float | None) -> int:
    from gitrelay.calls.following import as_it_is
    from gitrelay.calls.looking import Looker
    from gitrelay.cli.output import safe, say

    events = as_it_is(following)
    looker, said = Looker(following.ledger), ""
    while True:
        for e in events:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(e.time))
            click.echo(safe(f"{stamp}  {e.where}  {e.kind}  {e.text}".rstrip()).replace("\n", " "))
        sys.stdout.flush()
        if following.fault != said:
            said = following.fault
            if said:
                say(f"git-relay: {said}")
        left = _PAUSE if end is None else min(_PAUSE, end - time.monotonic())
        if left <= 0:
            return 0
        time.sleep(left)
        events = _look(following, looker)


def _board(following: Following, end: float | None) -> int:
    from gitrelay.calls.looking import Looker
    from gitrelay.cli.screen import keys
    from gitrelay.cli.screen.board import Board
    from gitrelay.cli.screen.terminal import has_colours

    repo = following.ledger.repo
    what = f"session {following.session}" if following.session else repo.place.name
    colours = has_colours(os.environ, repo.users_setting("color.ui"))
    board = Board(following, f"git relay watch: {what}", colours=colours)
    looked, looker = time.monotonic(), Looker(following.ledger)
    try:
        with keys.opened() as screen:
            while end is None or time.monotonic() < end:
                width, height = screen.size
                screen.draw(board.lines(width, height, time.time()))
                for key in screen.keys(max(0.0, looked + _PAUSE - time.monotonic())):
                    if key == "redraw":
                        screen.forget()
                    elif not board.press(key):
                        return 0
                if time.monotonic() >= looked + _PAUSE:
                    _look(following, looker)
                    looked = time.monotonic()
    except keys.Ended as e:
        return 128 + e.number
    return 0


def _running(following: Following) -> list[dict[str, object]]:
    """What runs now, as docs/json.md says."""
    now = time.time()

    def shown(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 1)

    return [
        {
            "address": str(address),
            "from": r.call.from_,
            "to": r.call.to,
            "age_s": round(now - r.call.started, 1),
            "wall_left_s": shown(r.wall_left(now)),
            "idle_left_s": shown(r.idle_left(now)),
            "last_event": r.lines[-1] if r.lines else None,
        }
        for address, r in following.running.items()
    ]
