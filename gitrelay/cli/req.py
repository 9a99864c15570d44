"""`git relay req`: ask a peer."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gitrelay import duration
from gitrelay.cli.options import json_option, read_text


@click.command("req")
@click.option(
    "--to",
    "to",
    required=True,
    metavar="PEER",
    help="The peer to ask: claude, codex, shell, or one from git config.",
)
@click.option(
    "--from",
    "from_",
    metavar="NAME",
    help="Who asks. Default: the calling agent, else relay.from, else your name.",
)
@click.option("--session", metavar="S", help="Continue, or open, this session. Without it the call is a one-shot.")
@click.option("--name", metavar="N", help="Name of a one-shot. Default: the task's first words.")
@click.option("--file", "files", multiple=True, metavar="F", help="Refer the peer to this file; repeatable.")
@click.option(
    "--access",
    metavar="read|write|full",
    help="What the peer may do: look, edit and run, or everything. Default write.",
)
@click.option("--model", metavar="M", help="Model, handed to the peer. Default: the peer's own.")
@click.option("--effort", metavar="E", help="Reasoning effort, handed to the peer. Default: the peer's own.")
@click.option("--timeout", metavar="D", help="Wall limit, as 90s, 15m, 2h or none. Default 1h.")
@click.option("--idle-timeout", metavar="D", help="Longest silence. Default 20m for claude and codex, else none.")
@click.option(
    "--first-output",
    metavar="D",
    help="Longest wait for the model's first sign. Default 5m for claude and codex, else none.",
)
@click.option("--wait", "wait", metavar="D", help="Wait at most this long; then exit 8, and the call goes on.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the address.")
@click.option("--no-invoke", is_flag=True, help="Record the request and print its path; start nobody.")
@json_option
@click.argument("task", nargs=-1)
def command(
    to: str,
    from_: str | None,
    session: str | None,
    name: str | None,
    files: tuple[str, ...],
    access: str | None,
    model: str | None,
    effort: str | None,
    timeout: str | None,
    idle_timeout: str | None,
    first_output: str | None,
    wait: str | None,
    detach: bool,
    no_invoke: bool,
    as_json: bool,
    task: tuple[str, ...],
) -> int:
    """Ask a peer: record the request, run the peer, print its answer.

    TASK '-', or none with piped stdin, is read from stdin. The answer is printed with its front
    matter; the exit code says how it went (docs/exit-codes.md).

    \b
      git relay req --to shell --session smoke "pytest -q"
      git relay req --to codex --session auth-refactor "Fix the issues and add tests."
      git relay req --to claude --access read --name review "Review src/auth.py."
    """
    if session is not None and name is not None:
        raise click.UsageError("--session and --name exclude each other: a one-shot has a name, a turn has a session")
    if detach and (wait is not None or no_invoke):
        raise click.UsageError(f"--detach and {'--wait' if wait else '--no-invoke'} exclude each other")
    if no_invoke and wait is not None:
        raise click.UsageError("--no-invoke and --wait exclude each other: nobody is started")
    limit = None if wait is None else duration.parse(wait, "--wait")
    text = read_text(task, "TASK")

    from gitrelay import call
    from gitrelay.cli import output
    from gitrelay.cli.waiting import until_answered

    ledger, asked = call.ask(
        Path.cwd(),
        task=text,
        to=to,
        from_=from_,
        session=session,
        name=name,
        files=files,
        access=access,
        model=model,
        effort=effort,
        timeout=timeout,
        idle_timeout=idle_timeout,
        first_output=first_output,
        invoke=not no_invoke,
    )
    output.note(asked.notes)
    if no_invoke or detach:
        if as_json:
            data = {"address": str(asked.address), "file": str(asked.file) if no_invoke else None}
            click.echo(output.envelope("req", 0, data))
        else:
            click.echo(str(asked.file) if no_invoke else str(asked.address))
        return 0
    output.say(str(asked.address))
    sys.stderr.flush()
    found = until_answered(ledger, [asked.address], limit)
    return output.print_exchanges("req", found, as_json=as_json, single=True)
