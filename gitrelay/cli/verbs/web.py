"""`git relay web`: the site of the sessions on 127.0.0.1, up to date as turns land."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from gitrelay.cli import interrupts
from gitrelay.cli.options import json_option


@click.command("web")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Default: one that is free.")
@click.option("--answer", is_flag=True, help="Also take answers to the questions of peers, at questions.html.")
@click.option("--open", "open_", is_flag=True, help="Open it in your browser.")
@json_option
def command(port: int, answer: bool, open_: bool, as_json: bool) -> int:
    """Serve the sessions as a site on this machine, live.

    What 'export' writes, as it is now; pages follow what is recorded while they are open. The
    address is printed: it holds a secret, and without it nobody on this machine is shown anything.
    Nothing can be changed through it; with --answer the page questions.html shows what peers ask back,
    and takes an answer. Ctrl-C ends it, with exit code 130; SIGTERM with 143.
    """
    return serve(port, answer=answer, open_=open_, as_json=as_json)


def serve(port: int, *, answer: bool, open_: bool, as_json: bool) -> int:
    """Serve the repository of the current folder until a signal ends it; the exit code."""
    import secrets

    from gitrelay.cli import output
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.provenance.lines.views import Blames
    from gitrelay.report.answering import PAGE, Desk
    from gitrelay.report.live import Live
    from gitrelay.report.server import Server

    ledger_ = open_ledger(Path.cwd())
    with contextlib.ExitStack() as stack:
        ended = stack.enter_context(_ended_by_signals())
        desk = Desk(ledger_, ledger_.repo.place) if answer else None
        server = stack.enter_context(
            Server(Live(ledger_, PAGE if answer else "", Blames(ledger_)), secrets.token_urlsafe(24), port, desk)
        )
        if as_json:
            click.echo(output.envelope("web", 0, {"url": server.url, "port": server.port}))
        else:
            click.echo(server.url)
            if answer:
                output.say(f"questions: {server.url}{PAGE}")
            output.say("Ctrl-C ends it")
        if open_:
            from gitrelay.report.opening import opened

            def none() -> None:
                output.say("git-relay: no browser was found; open the address yourself")

            stack.enter_context(opened(ledger_.state, server.url + (PAGE if answer else ""), none))
        server.serve_forever(poll_interval=0.2)
    return 128 + ended[0]


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """The block ends at once, and quietly, with the signal that the list then holds: it has no other end."""
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        interrupts.arrive(frame)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup, or in a script's background
            signal.signal(number, end)
    try:
        yield ended
    except KeyboardInterrupt:
        if not ended:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
