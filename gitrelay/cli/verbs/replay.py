"""`git relay replay`: recorded requests, asked again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import GroupedCommand, json_option
from gitrelay.errors import NO_ANSWER, OK, Code, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from gitrelay.ledger.ledger import Ledger
    from gitrelay.provenance.replay.plan import Plan, Task, Terms
    from gitrelay.provenance.replay.report import Facts, Report
    from gitrelay.provenance.replay.running import Estimate, Replay


@click.command(
    "replay",
    cls=GroupedCommand,
    groups={
        "What is asked again": ("last", "session", "checks"),
        "Of whom": ("to", "model", "effort", "runs"),
        "What it may cost": ("dry_run", "budget", "yes"),
    },
)
@click.option("--last", metavar="N", type=click.IntRange(1, 1000), help="The last N answered calls that have a check.")
@click.option("--session", metavar="S", shell_complete=candidates.sessions, help="All calls of a session.")
@click.option("--check", "checks", multiple=True, metavar="CMD", help="Judge by CMD, not by the recorded checks.")
@click.option("--to", metavar="PEER", required=True, shell_complete=candidates.peers, help="The peer to compare.")
@click.option("--model", metavar="M", help="Its model. Default: its own.")
@click.option("--effort", metavar="E", help="Its effort. Default: its own.")
@click.option("--runs", metavar="K", type=click.IntRange(1, 99), default=1, show_default=True, help="Runs of each.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked and what it may cost; ask nobody.")
@click.option("--budget", multiple=True, metavar="B", help="What all runs may use: 5usd, 2mtok, 3h; repeatable.")
@click.option("--yes", is_flag=True, help="Begin without being asked.")
@json_option
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...", shell_complete=candidates.addresses)
def command(
    addresses: tuple[str, ...],
    last: int | None,
    session: str | None,
    checks: tuple[str, ...],
    to: str,
    model: str | None,
    effort: str | None,
    runs: int,
    dry_run: bool,
    budget: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Ask recorded requests again, of the same peer and of another, and compare what passes.

    Each run works on the recorded files, in an empty repository, with the recorded access and checks; nothing comes
    into your tree. An exchange whose check does not pass on the recorded answer is left out. The report says which
    peer passes more, or that no difference can be told, and what could not be brought back. Every run is recorded
    in a session of its own. After Ctrl-C or a kill the same command goes on, and pays for no run twice.

    \b
      git relay replay --last 10 --to claude --dry-run
      git relay replay port/02 port/05 --to codex --model gpt-x --runs 3 --budget 5usd
    """
    _refuse_mixed(addresses, last, session)

    from gitrelay.calls import wording
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.protocol.budget import parse
    from gitrelay.provenance.replay import running
    from gitrelay.provenance.replay.plan import Terms, check_secrets

    ledger = open_ledger(Path.cwd())
    if ledger.repo.top is None:
        raise ledger.repo.has_no_tree("a bare repository has no working tree to begin from", hint="use a clone")
    cap = parse(budget, "--budget")
    named = _meant(ledger, addresses)
    words = (f"--last {last}",) if last else (f"--session {session}",) if session else tuple(map(str, named))
    commands = tuple(wording.checked(check) for check in checks)
    terms = Terms(words, to, model, effort, runs, commands)
    check_secrets(ledger, terms)
    name, made = running.find(ledger, terms)
    left: dict[str, str] = {}
    if made is None:
        tasks, left = _tasks(ledger, terms, named, last, session)
    else:
        tasks = running.tasks_of(ledger, made)
    _check(ledger, tasks, terms)
    from gitrelay.provenance.replay.running import Replay

    going = None if made is None else Replay(Path.cwd(), ledger, made, tasks, _say)
    costs = running.estimate(ledger, tasks, terms, going.done if going is not None else 0)
    if dry_run:
        return _told(costs, tasks, left if made is None else made.left_out, terms, as_json)
    if costs.runs and not yes and not budget:
        _ask(costs, tasks, terms, going is not None)
    if going is None:
        going = _begun(ledger, terms, name, tasks, left)
    else:
        _say(f"{name}: goes on; {going.done} runs are recorded")
    why = going.run(cap)
    found = going.report()
    if not why:
        going.close(found)
    return _printed(going, found, why, as_json)


def _refuse_mixed(addresses: Sequence[str], last: int | None, session: str | None) -> None:
    given = [bool(addresses), last is not None, session is not None]
    if sum(given) != 1:
        what = "exchanges are missing: name" if not any(given) else "replay needs one of these alone:"
        raise click.UsageError(f"{what} ADDRESS..., --last N or --session S")


def _meant(ledger: Ledger, words: Sequence[str]) -> list[Any]:
    from gitrelay.cli import addressing

    return list(dict.fromkeys(addressing.meant(ledger, word) for word in words))


def _tasks(
    ledger: Ledger, terms: Terms, named: Sequence[Any], last: int | None, session: str | None
) -> tuple[list[Task], dict[str, str]]:
    """(the tasks that can be asked again, those that cannot be with the reason). Raises UsageError if there is none."""
    from gitrelay.provenance.replay import plan

    tasks: list[Task] = []
    left: dict[str, str] = {}
    for e in plan.chosen(ledger, named, last or 0, session, bool(terms.checks)):
        one = plan.task(ledger, e, terms.checks)
        if isinstance(one, str):
            left[str(e.address)] = one
        else:
            tasks.append(one)
    if not tasks:
        raise plan.refused(left)
    return tasks, left


def _check(ledger: Ledger, tasks: Sequence[Task], terms: Terms) -> None:
    """Refuse what could not be run: another peer or model that is none, and more access than this process has."""
    from gitrelay.calls import within
    from gitrelay.protocol.words import Access
    from gitrelay.provenance.replay import plan

    known = [Access(one.given.access) for one in tasks if one.given.access in tuple(Access)]
    needed = max([*known, Access.WRITE], key=lambda one: one.rank)  # a check is a command
    within.require(ledger, needed, "git relay replay")
    plan.check_peer(ledger, tasks, terms)


def _begun(ledger: Ledger, terms: Terms, name: str, tasks: Sequence[Task], left: dict[str, str]) -> Replay:
    """The replay, once the checks have passed on recorded answers. Raises UsageError if they pass on none."""
    from gitrelay.provenance.replay import plan, running
    from gitrelay.provenance.replay.plan import Plan

    fit, lenient = [], []
    for number, one in enumerate(tasks, 1):
        _say(f"{number}/{len(tasks)} {one.address}: checks on its recorded answer")
        why, passes_before = running.still_passes(ledger, one, name)
        if why:
            left[str(one.address)] = why
            continue
        fit.append(one)
        if passes_before:
            lenient.append(str(one.address))
    if not fit:
        raise plan.refused(left)
    made = Plan(name, terms, tuple(str(one.address) for one in fit), left, tuple(lenient))
    running.begin(Path.cwd(), ledger, made)
    _say(f"{name}: begins")
    return running.Replay(Path.cwd(), ledger, made, fit, _say)


def _say(text: str) -> None:
    from gitrelay.cli import output

    output.say(text)


def _ask(costs: Estimate, tasks: Sequence[Task], terms: Terms, goes_on: bool) -> None:
    """Raise UsageError unless a person says yes."""
    for line in _cost_lines(costs, tasks, terms):
        _say(line)
    if sys.stdin.isatty() and sys.stderr.isatty():
        if click.confirm(f"{'Go on with' if goes_on else 'Begin'} {costs.runs} runs?", err=True):
            return
        raise UsageError("nobody was asked", hint="--dry-run says what it may cost; --budget B caps it")
    raise UsageError(
        f"{costs.runs} runs would be paid for, and nobody is here to say yes",
        hint="add --budget B (5usd, 2mtok, 3h) or --yes",
    )


def _cost_lines(costs: Estimate, tasks: Sequence[Task], terms: Terms) -> list[str]:
    from gitrelay.ground import duration
    from gitrelay.ground.text import counted

    def usd(value: Decimal | None) -> str:
        return "not recorded" if value is None else f"${value:.2f}"

    time = "not recorded" if costs.seconds is None else duration.render(costs.seconds)
    return [
        f"{counted(len(tasks), 'exchange')}, {counted(terms.runs, 'run')} each of two peers: {costs.runs} runs to make",
        f"these calls cost then: {usd(costs.recorded)}; all runs at their mean: {usd(costs.again)} again, "
        f"{usd(costs.new)} for {terms.to} by its recorded calls; time about {time}",
    ]


def _told(costs: Estimate, tasks: Sequence[Task], left: dict[str, str], terms: Terms, as_json: bool) -> int:
    from gitrelay.cli import output

    if as_json:
        data = {
            "exchanges": [str(one.address) for one in tasks],
            "left_out": [{"address": address, "why": why} for address, why in left.items()],
            "runs": costs.runs,
            "cost_usd": {
                "recorded": _number(costs.recorded),
                "again": _number(costs.again),
                "new": _number(costs.new),
            },
            "duration_s": costs.seconds,
        }
        click.echo(output.envelope("replay", OK, data))
        return OK
    for line in _cost_lines(costs, tasks, terms):
        click.echo(output.safe(line))
    for one in tasks:
        click.echo(output.safe(f"{one.address}  {one.found.to}  {'; '.join(one.given.checks)}"))
    for address, why in left.items():
        click.echo(output.safe(f"{address}  left out: {why}"))
    return OK


def _printed(going: Replay, found: Report, why: str, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.provenance.replay.report import lines

    facts = going.facts(why)
    code = NO_ANSWER if why else OK
    if as_json:
        errors = [{"code": Code.ERROR, "message": why, "hint": "the same command goes on"}] if why else []
        click.echo(output.envelope("replay", code, _json(going.plan, found, facts), errors))
        return code
    for line in lines(found, facts):
        click.echo(output.safe(line))
    if why:
        _say(output.one_line(why, "the same command goes on"))
    return code


def _json(made: Plan, found: Report, facts: Facts) -> dict[str, Any]:
    """A replay as --json gives it; keys are stable (docs/json.md)."""
    from gitrelay.provenance.replay.report import ALWAYS, ARMS

    pairs, more = found.more
    return {
        "session": made.session,
        "over": not facts.stopped,
        "exchanges": list(made.addresses),
        "left_out": [{"address": address, "why": reason} for address, reason in made.left_out.items()],
        "lenient": list(made.lenient),
        "arms": [{"arm": name, **_arm(found, name)} for name in ARMS],
        "both": found.both,
        "neither": found.neither,
        "undecided": found.undecided,
        "p": round(found.p, 6),
        "winner": found.winner,
        "needed": {"pairs": pairs, "exchanges": more},
        "not_restored": [*ALWAYS, *facts.gaps],
        "runs": [
            {
                "address": run.address,
                "exchange": run.exchange,
                "arm": run.arm,
                "passed": run.passed,
                "reason": run.reason or None,
                "signs": None if run.signs is None else list(run.signs),
            }
            for run in found.runs
        ],
    }


def _arm(found: Report, name: str) -> dict[str, Any]:
    arm = found.arms[name]
    low, high = (round(end, 4) for end in arm.exchanges.interval)
    return {
        "label": arm.label,
        "passed": arm.exchanges.passed,
        "of": arm.exchanges.of,
        "low": low,
        "high": high,
        "few": arm.exchanges.is_few,
        "runs": {"passed": arm.runs.passed, "of": arm.runs.of},
        "only": found.only[name],
        "errors": dict(arm.errors),
        "cost_usd": _number(arm.usd),
        "median_s": arm.seconds,
        "models": list(arm.models),
    }


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
