"""`git relay loop`: work that goes on until it passes."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import GroupedCommand, json_option, read_text
from gitrelay.errors import UsageError
from gitrelay.ground import duration


@click.command(
    "loop",
    cls=GroupedCommand,
    groups={
        "Who works, and where": ("session", "build", "review", "from_", "context", "isolate", "model"),
        "When it stops": ("checks", "rounds", "budget", "timeout", "no_questions"),
        "Waiting": ("resume", "wait", "detach"),
    },
)
@click.option("--session", metavar="S", shell_complete=candidates.open_sessions, help="The session of the work.")
@click.option("--build", metavar="PEER", shell_complete=candidates.peers, help="Who works, with write access.")
@click.option("--review", metavar="PEER", shell_complete=candidates.peers, help="Who reviews what passed the checks.")
@click.option("--from", "from_", metavar="NAME", help="Who asks. Default: as for 'req'.")
@click.option(
    "--context",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=candidates.addresses,
    help="Hand this earlier exchange to the peer that works; repeatable.",
)
@click.option(
    "--isolate/--shared", "isolate", default=None, help="Work in a copy of this tree, or in this tree itself."
)
@click.option("--model", metavar="M", help="Model of the peer that works.")
@click.option("--check", "checks", multiple=True, metavar="CMD", help="Run CMD after each build; repeatable.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="At most so many rounds.")
@click.option("--budget", multiple=True, metavar="B", help="What all rounds may use: 2usd, 200ktok, 1h; repeatable.")
@click.option("--timeout", metavar="D", help="Wall limit of each call. Default 1h.")
@click.option("--no-questions", is_flag=True, help="Tell the peers to ask nothing back.")
@click.option("--resume", metavar="S", shell_complete=candidates.open_sessions, help="Go on with the loop of S.")
@click.option("--wait", "wait", metavar="D", help="Wait at most this long; then exit 8, and the loop goes on.")
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the address of the first call.")
@json_option
@click.argument("task", nargs=-1)
def command(
    session: str | None,
    build: str | None,
    review: str | None,
    from_: str | None,
    context: tuple[str, ...],
    isolate: bool | None,
    model: str | None,
    checks: tuple[str, ...],
    rounds: int,
    budget: tuple[str, ...],
    timeout: str | None,
    no_questions: bool,
    resume: str | None,
    wait: str | None,
    detach: bool,
    as_json: bool,
    task: tuple[str, ...],
) -> int:
    """Let a peer work in rounds until the checks and the review pass.

    In each round the peer works, gitrelay runs the checks and, if they pass, the reviewer looks at the same
    tree. It stops when a round passes, at --rounds, at the budget, when a round changed nothing, when it is
    stuck, or when a peer gives no answer twice. Every call is an exchange of S or S-review; after any kill,
    --resume S goes on and makes no paid call again. Exit 0 passed, 1 not, else the code of the call that
    ended it. See 'git relay help loops'.

    \b
      git relay loop --session port --build codex --check "pytest -q" --review claude "Port the parser."
      git relay loop --resume port
    """
    if detach and wait is not None:
        raise click.UsageError("--detach and --wait exclude each other")
    if resume is not None and (session or build or task or context):
        raise click.UsageError("--resume takes the session alone: what was asked for is recorded")
    limit = None if wait is None else duration.parse(wait, "--wait")

    from gitrelay.cli import addressing, looping, output
    from gitrelay.history import loops
    from gitrelay.history.rounds import Terms
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.loops import driving

    ledger = open_ledger(Path.cwd())
    if resume is None:
        if session is None or build is None:
            raise click.UsageError("a loop needs --session S and --build PEER, or --resume S")
        text = read_text(task, "TASK")
        terms = Terms(build, checks, review, rounds, budget, isolate, model, timeout, not no_questions)
        address = driving.begin(
            Path.cwd(), ledger, session, terms, text, from_, addressing.all_meant(Path.cwd(), context)
        )
        output.say(str(address))
        name = session
    else:
        found = loops.read(ledger, resume)
        if found is None:
            raise UsageError(f"there is no loop in session {resume}", hint="git relay log " + resume)
        address, name = found.first.address, resume
    if driving.is_open(ledger, name):
        driving.start(ledger.repo.place, name)
    if detach:
        row = {"address": str(address), "file": None, "replayed": resume is not None}
        click.echo(output.envelope("loop", 0, row) if as_json else str(address))
        return 0
    return looping.follow(ledger, name, limit, as_json)
