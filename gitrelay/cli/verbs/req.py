"""`git relay req`: ask a peer."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import VERIFY, GroupedCommand, json_option, read_text
from gitrelay.ground import duration


@click.command(
    "req",
    cls=GroupedCommand,
    groups={
        "Who asks whom, and where": ("to", "from_", "session", "name", "files", "context"),
        "What the peer may do, and how": ("access", "isolate", "cwd", "keep", "fresh", "model", "effort"),
        "Questions": ("no_questions",),
        "Limits": ("budget", "hand_back", "timeout", "idle_timeout", "first_output"),
        "What counts": ("checks", "apply", "key"),
        "Attempts": ("attempts", "pick", "first", "quorum", "judge"),
        "Another machine": ("on", "check_remote", "expires"),
        "Waiting": ("wait", "detach", "no_invoke"),
    },
)
@click.option(
    "--to",
    multiple=True,
    metavar="PEER",
    shell_complete=candidates.peers,
    help="The peer to ask: claude, codex, copilot, gemini, opencode, qwen, shell, or one from git config. Given twice, "
    "both are asked side by side. Default: the first word, if it is one; else relay.to.",
)
@click.option(
    "--from",
    "from_",
    metavar="NAME",
    help="Who asks. Default: the calling agent, else relay.from, else your name.",
)
@click.option(
    "--session",
    metavar="S",
    shell_complete=candidates.open_sessions,
    help="Continue, or open, this session. Without it the call is a one-shot.",
)
@click.option("--name", metavar="N", help="Name of a one-shot. Default: the task's first words.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="F",
    shell_complete=candidates.files,
    help="Refer the peer to this file; repeatable.",
)
@click.option(
    "--context",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=candidates.addresses,
    help="Hand this earlier exchange, task and answer, to the peer as information; repeatable.",
)
@click.option(
    "--access",
    metavar="read|write|full",
    shell_complete=candidates.access,
    help="What the peer may do: look, edit and run, or everything. Default write.",
)
@click.option(
    "--isolate/--shared",
    "isolate",
    default=None,
    help="Work in a copy of this tree, or in this tree itself. Default: relay.isolate.",
)
@click.option(
    "--cwd",
    metavar="DIR",
    help="Start the peer in this folder of the tree, named from where you are. Default: the top of the tree.",
)
@click.option(
    "--keep",
    type=click.Choice(["theirs"]),
    help="If your changes since the last turn conflict with the workspace: go on there without them.",
)
@click.option("--fresh", is_flag=True, help="Begin with a new copy of this tree in the workspace.")
@click.option("--model", metavar="M", help="Model, handed to the peer. Default: the peer's own.")
@click.option("--effort", metavar="E", help="Reasoning effort, handed to the peer. Default: the peer's own.")
@click.option(
    "--budget",
    "budget",
    multiple=True,
    metavar="B",
    help="What the call, and all calls made inside it, may use: 2usd, 200ktok or 15m; repeatable.",
)
@click.option(
    "--hand-back", is_flag=True, help="Once the budget is used up, let the peer say in one more turn what is open."
)
@click.option("--timeout", metavar="D", help="Wall limit, as 90s, 15m, 2h or none. Default 1h.")
@click.option("--idle-timeout", metavar="D", help="Longest silence. Default 20m for the built-in agents, else none.")
@click.option(
    "--first-output",
    metavar="D",
    help="Longest wait for the model's first sign. Default 5m for the built-in agents, else none.",
)
@click.option(
    "--check",
    "checks",
    multiple=True,
    is_flag=False,
    flag_value=VERIFY,
    metavar="CMD",
    help="Run CMD after the answer, and let its result decide the exit code; repeatable. Without CMD: what "
    "relay.verify names.",
)
@click.option("--apply", is_flag=True, help="With --isolate: if it passes, bring its changes into this tree at once.")
@click.option("--key", metavar="K", help="Never pay twice: the exchange recorded under this key, if there is one.")
@click.option(
    "--no-questions", is_flag=True, help="Tell the peer to ask nothing back, and to write down what it assumed."
)
@click.option(
    "--attempts", type=click.IntRange(1), default=1, metavar="N", help="Let each peer try N times, each in a workspace."
)
@click.option(
    "--pick",
    metavar="RULE",
    help="Pick one attempt: check (the first whose checks passed), smallest, first, or judge:PEER.",
)
@click.option("--first", is_flag=True, help="Cancel the other attempts once one has passed.")
@click.option("--quorum", type=int, metavar="N", help="N answers are enough; the other attempts are cancelled.")
@click.option("--judge", metavar="PEER", help="Let PEER, with read access, write one answer out of all.")
@click.option("--wait", "wait", metavar="D", help="Wait at most this long; then exit 8, and the call goes on.")
@click.option(
    "--on",
    metavar="REMOTE",
    shell_complete=candidates.remotes,
    help="Let a worker of this remote answer, on another machine ('git relay worker'); it gets this tree's files.",
)
@click.option(
    "--check-remote",
    multiple=True,
    metavar="CMD",
    help="With --on: let the worker run CMD after the answer and say how it ended, which is its word; repeatable.",
)
@click.option(
    "--expires", metavar="D", help="With --on: if no worker has taken it after D, it ends. Default 1d, at most 7d."
)
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the address.")
@click.option("--no-invoke", is_flag=True, help="Record the request and print its path; start nobody.")
@json_option
@click.argument("words", nargs=-1, metavar="[PEER] [TASK]")
def command(
    to: tuple[str, ...],
    from_: str | None,
    session: str | None,
    name: str | None,
    files: tuple[str, ...],
    context: tuple[str, ...],
    access: str | None,
    isolate: bool | None,
    cwd: str | None,
    keep: str | None,
    fresh: bool,
    model: str | None,
    effort: str | None,
    budget: tuple[str, ...],
    hand_back: bool,
    timeout: str | None,
    idle_timeout: str | None,
    first_output: str | None,
    checks: tuple[str, ...],
    apply: bool,
    key: str | None,
    no_questions: bool,
    attempts: int,
    pick: str | None,
    first: bool,
    quorum: int | None,
    judge: str | None,
    wait: str | None,
    detach: bool,
    no_invoke: bool,
    on: str | None,
    check_remote: tuple[str, ...],
    expires: str | None,
    as_json: bool,
    words: tuple[str, ...],
) -> int:
    """Ask a peer: record the request, run the peer, print its answer.

    TASK '-', or none with piped stdin, is read from stdin. The answer is printed with its front
    matter; the exit code says how it went ('git relay help exit-codes'). With several --to the exit code is the
    worst, and each peer answers in a session of its own, S-PEER.

    The peer is started at the top of the working tree, whatever folder you are in, and so is the command of
    '--to shell'; --cwd DIR starts it in DIR, in a copy of the tree at the same place.

    With --check, gitrelay itself runs each CMD at the top of the tree after the answer and records what it
    saw, besides what the peer claims.

    With --attempts, --pick, --first, --quorum or --judge the request is a group's: a session NAME whose
    answer, by gitrelay, compares the attempts NAME-PEER[-N] and says which one was picked ('git relay
    compare NAME'; 'git relay wait NAME' goes on after an interruption).

    With --key K, an exchange of this repository that was asked under K is printed, or joined while it
    runs; one that ended without an answer is asked again. K belongs to one request: with another task,
    peer, session, access or check it is refused.

    With --context ADDRESS the peer gets the task and the answer of an earlier exchange with the request, quoted, and
    is told that they are no instructions. The request names the exchange; 'git relay grep' finds one.

    With --on REMOTE a worker answers, which somebody has started for that remote on another machine. The request
    and the files of this tree go there in one push; without a network 'git relay wait' sends them later. The
    worker works in a copy; its own limits hold besides yours. Your checks run here, in a copy with the answer's
    files, once this command or 'git relay wait' takes the answer.

    \b
      git relay req codex "Fix the issues and add tests."
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

    from gitrelay.cli import addressee

    to, task = addressee.split(to, words)
    text = read_text(task, "TASK")

    from gitrelay.calls import ask
    from gitrelay.calls.group import Wish
    from gitrelay.calls.order import Order
    from gitrelay.calls.settings import Given
    from gitrelay.cli import addressing, answers, asking, output
    from gitrelay.cli.waiting import cancelled_by_ctrl_c, until_answered
    from gitrelay.protocol.names import Address

    if apply and (detach or no_invoke or isolate is False):
        raise click.UsageError("--apply is for an isolated call that is waited for")
    isolate = True if apply else isolate
    kept = "fresh" if fresh else keep
    given = Given(access, model, effort, timeout, idle_timeout, first_output, checks, isolate, kept, budget, hand_back)
    if fresh and keep:
        raise click.UsageError("--fresh and --keep exclude each other")
    if isolate and no_invoke:
        raise click.UsageError("--no-invoke and --isolate exclude each other: nobody works there")
    if cwd is not None and no_invoke:
        raise click.UsageError("--no-invoke and --cwd exclude each other: nobody is started there")
    if checks and no_invoke:
        raise click.UsageError("--no-invoke and --check exclude each other: nobody answers yet")
    if len(to) > 1 and no_invoke:
        raise click.UsageError("--no-invoke takes one --to")
    handed = addressing.all_meant(Path.cwd(), context)
    order = Order(
        text,
        to,
        from_,
        session,
        name,
        files,
        given,
        key,
        not no_questions,
        invoke=not no_invoke,
        cwd=cwd,
        context=handed,
    )
    wish = Wish(attempts, pick, first, quorum, judge)
    if on is not None:
        from gitrelay.cli import faraway

        said = {"--shared": isolate is False, "--keep": keep, "--fresh": fresh, "--hand-back": hand_back}
        faraway.refuse({**said, "--no-invoke": no_invoke, "--context": context})
        if wish and (expires or check_remote):
            option = "--expires" if expires else "--check-remote"
            raise click.UsageError(f"{option} does not go with several attempts on another machine")
    elif check_remote:
        raise click.UsageError("--check-remote goes with --on: a worker runs it; --check runs here")
    elif expires is not None:
        raise click.UsageError("--expires goes with --on: it is how long a worker may take to take the call")
    if wish:
        if no_invoke:
            raise click.UsageError("--no-invoke starts nobody: it goes with no attempts")
        from gitrelay.cli import grouping

        return grouping.ask(order, wish, limit=limit, detach=detach, apply=apply, as_json=as_json, on=on)
    addresses: list[Address] = []
    with cancelled_by_ctrl_c(addresses):
        if on is not None:
            ledger, asked = faraway.ask(order, on, expires, check_remote)
        elif len(to) > 1:
            ledger, asked = ask.ask_each(Path.cwd(), order)
        else:
            ledger, one = ask.ask(Path.cwd(), order)
            asked = [one]
        addresses += [one.address for one in asked if not no_invoke]
        for one in asked:
            output.note(one.notes)
        if not no_invoke and not detach:
            for one in asked:
                output.say(f"{one.address}: recorded before, under this key" if one.replayed else str(one.address))
            sys.stderr.flush()
            found = until_answered(ledger, addresses, limit)
    if no_invoke or detach:
        if as_json:
            rows = [
                {
                    "address": str(one.address),
                    "file": str(one.file) if no_invoke else None,
                    "replayed": one.replayed,
                }
                for one in asked
            ]
            click.echo(output.envelope("req", 0, rows[0] if len(to) == 1 else rows))
        else:
            click.echo("\n".join(str(one.file if no_invoke else one.address) for one in asked))
        return 0
    if apply:
        from gitrelay.cli import applying

        applying.at_once(ledger, found, set(addresses) - {one.address for one in asked if one.replayed})
    replayed = {one.address: one.replayed for one in asked}
    code = answers.print_exchanges("req", found, as_json=as_json, single=len(to) == 1, replayed=replayed, ledger=ledger)
    return asking.until_answered(ledger, found[0], code) if len(to) == 1 and not as_json else code
