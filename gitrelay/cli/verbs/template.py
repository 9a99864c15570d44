"""`git relay template`: a request as it would be sent."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option, read_text


@click.command("template")
@click.option("--to", metavar="PEER", shell_complete=candidates.peers, help="The peer. Default: relay.to.")
@click.option("--from", "from_", metavar="NAME", help="Who asks, as for 'req'.")
@click.option(
    "--session", metavar="S", shell_complete=candidates.open_sessions, help="As the next turn of this session."
)
@click.option("--name", metavar="N", help="As a one-shot of this name.")
@click.option("--file", "files", multiple=True, metavar="F", shell_complete=candidates.files, help="As for 'req'.")
@click.option("--no-questions", is_flag=True, help="As for 'req'.")
@json_option
@click.argument("task", nargs=-1)
def command(
    to: str | None,
    from_: str | None,
    session: str | None,
    name: str | None,
    files: tuple[str, ...],
    no_questions: bool,
    as_json: bool,
    task: tuple[str, ...],
) -> int:
    """Print the request that would be sent, and send nothing.

    With what relay.footer, relay.pattern and relay.verify make of it ('git relay help template'). Without
    TASK, '{task}' is where it would be.

    \b
      git relay template --to codex --session auth-refactor
    """
    text = read_text(task, "TASK") if task else "{task}"

    from gitrelay.calls import drafting
    from gitrelay.calls.order import Order
    from gitrelay.cli import output

    order = Order(text, (to,) if to else (), from_, session, name, files, questions=not no_questions)
    request = drafting.draft(Path.cwd(), order)
    if as_json:
        click.echo(output.envelope("template", 0, {"request": request.decode()}))
    else:
        output.write(request)
    return 0
