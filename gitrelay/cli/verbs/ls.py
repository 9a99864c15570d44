"""`git relay ls`: the sessions."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import Code
from gitrelay.ground import duration


@click.command("ls")
@click.option("--open", "only_open", is_flag=True, help="Only sessions that are not archived.")
@click.option("--pending", is_flag=True, help="Only sessions with a request that is not answered.")
@click.option("--questions", is_flag=True, help="The questions of peers that wait for an answer, instead of sessions.")
@click.option(
    "--peer", metavar="P", shell_complete=candidates.peers, help="Only sessions whose last exchange was with this peer."
)
@click.option("--since", metavar="D", help="Only sessions that spoke since then: 2h, 7d, yesterday or 2026-11-20.")
@json_option
def command(only_open: bool, pending: bool, questions: bool, peer: str | None, since: str | None, as_json: bool) -> int:
    """List the sessions.

    For each: how many turns, who spoke last, its state, how long ago. The latest comes first. With
    --questions: what a peer asked back and nobody has answered; 'git relay answer' answers it.
    """
    begin = None if since is None else duration.since(since, "--since", time.time())
    if questions:
        return _questions(peer, begin, as_json)

    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.errors import INTEGRITY, OK
    from gitrelay.git.faults import BRING_BACK
    from gitrelay.history import sessions
    from gitrelay.history.outcome import shown
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    now = time.time()
    found = [
        s
        for s in sessions.sessions(ledger)
        if (not only_open or not s.archived)
        and (not pending or s.status == "pending")
        and (peer is None or peer in (s.to, s.from_))
        and (begin is None or s.last >= begin)
    ]
    code = INTEGRITY if any(s.status == sessions.DAMAGED for s in found) else OK
    errors = [
        {"code": Code.DAMAGED, "message": f"session {s.name} cannot be read", "hint": BRING_BACK}
        for s in found
        if s.status == sessions.DAMAGED
    ]
    if as_json:
        rows = [
            {
                "session": s.name,
                "archived": s.archived,
                "turns": s.turns,
                "from": s.from_ or None,
                "to": s.to or None,
                "status": s.status,
                "verify": s.verify,
                "reason": s.reason,
                "outcome": s.outcome,
                "checked": s.checked,
                "last": s.last,
                "remote": s.remote or None,
            }
            for s in found
        ]
        click.echo(output.envelope("ls", code, rows, errors))
        return code
    if not found:
        output.say("no sessions")
        return 0
    output.from_remotes(s.remote for s in found)
    for remote, more in sessions.newer_elsewhere(ledger).items():
        named = ", ".join(more[:5]) + (f" and {len(more) - 5} more" if len(more) > 5 else "")
        output.say(f"git-relay: {remote} has more of {named}: git relay fetch {remote}")
    if output.is_drawn():
        from gitrelay.cli.screen import rows as seen
        from gitrelay.cli.screen import terminal

        terminal.show_table(ledger.repo, seen.SESSIONS, (seen.of_session(s, now) for s in found))
        for error in errors:
            output.say(output.one_line(error["message"], error["hint"]))
        return code
    table = [
        [
            s.name,
            str(s.turns),
            f"{s.from_} -> {s.to}" if s.to else "-",
            shown(s.outcome, s.checked) + (" (archived)" if s.archived else f" ({s.remote})" if s.remote else ""),
            duration.render(max(0.0, now - s.last)) if s.last else "-",
        ]
        for s in found
    ]
    click.echo(columns(["SESSION", "TURNS", "WHO", "LAST", "AGE"], table))
    for error in errors:
        output.say(output.one_line(error["message"], error["hint"]))
    return code


def _questions(peer: str | None, begin: float | None, as_json: bool) -> int:
    """Print the questions that wait, those of `peer` and since `begin` if that is asked for."""
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.history.questions import waiting
    from gitrelay.ledger.ledger import open_ledger

    now = time.time()
    found = [
        e
        for e in waiting(open_ledger(Path.cwd()))
        if (peer is None or peer in (e.to, e.from_))
        and (begin is None or (e.response is not None and e.response.time >= begin))
    ]
    if as_json:
        click.echo(output.envelope("ls", 0, [output.exchange_json(e) for e in found]))
        return 0
    if not found:
        output.say("no questions")
        return 0
    table = []
    for e in found:
        asked = e.question
        assert asked is not None and e.response is not None
        age = duration.render(max(0.0, now - e.response.time))
        words = output.safe(asked.text) + "".join(f" [{i}: {o}]" for i, o in enumerate(asked.options, 1))
        table.append([str(e.address), e.to, age, output.safe(words)])
    click.echo(columns(["ADDRESS", "PEER", "AGE", "QUESTION"], table))
    output.say("answer one: git relay answer ADDRESS TEXT, or --option N")
    return 0
