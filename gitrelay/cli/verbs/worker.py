"""`git relay worker`: answer the calls of other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import GroupedCommand, json_option
from gitrelay.ground.text import counted

if TYPE_CHECKING:
    from gitrelay.remote.worker.readiness import Report


@click.command(
    "worker",
    cls=GroupedCommand,
    groups={
        "What is offered, and to whom": ("remote", "peers", "access", "checks", "signers", "revoked", "unsigned"),
        "When it ends": ("once", "job", "jobs", "idle", "budget"),
        "How it asks": ("lease", "poll"),
    },
)
@click.option(
    "--remote",
    metavar="R",
    shell_complete=candidates.remotes,
    help="The remote that calls come through. Default: relay.workerRemote.",
)
@click.option(
    "--peers",
    metavar="P,...",
    shell_complete=candidates.peers,
    help="The peers of this machine that others may ask. Default: relay.workerPeers.",
)
@click.option("--access", metavar="A,...", help="What they may ask for. Default: relay.workerAccess, else read,write.")
@click.option(
    "--run-checks",
    "checks",
    is_flag=True,
    help="Run the commands of 'req --check-remote' after the answer, as you. Default: relay.workerChecks, else such "
    "calls are left alone.",
)
@click.option(
    "--signers",
    metavar="FILE",
    shell_complete=candidates.files,
    help="Answer only requests that one of these has signed (ssh-keygen's form). Default: relay.R.signers.",
)
@click.option(
    "--revoked",
    metavar="FILE",
    shell_complete=candidates.files,
    help="Keys that have been withdrawn, with --signers (ssh-keygen's form). Default: relay.R.revoked.",
)
@click.option("--unsigned", is_flag=True, help="Answer everybody who can push to the remote.")
@click.option("--once", is_flag=True, help="Answer what waits now, then end.")
@click.option("--job", metavar="ID", help="Answer this job only, then end; exit 1 if it is left alone.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="End after N jobs.")
@click.option("--idle", metavar="D", help="End after so long without a job. Default: relay.workerIdle, else never.")
@click.option(
    "--budget-day",
    "budget",
    multiple=True,
    metavar="B",
    help="What all jobs of a day may use, as 20usd, 2mtok or 4h; then none is taken until the next day. Repeatable. "
    "Default: relay.workerBudget.",
)
@click.option(
    "--lease",
    metavar="D",
    help="How long a silent worker keeps its job. Default: relay.workerLease, else that of the engine (60s).",
)
@click.option(
    "--poll",
    metavar="D",
    help="How often the remote is asked; rarer while idle. Default: relay.workerPoll, else 5s.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Say what would be offered; exit 1, and say why, if something is wrong. Takes no job.",
)
@json_option
def command(
    remote: str | None,
    peers: str | None,
    access: str | None,
    checks: bool,
    signers: str | None,
    revoked: str | None,
    unsigned: bool,
    once: bool,
    job: str | None,
    jobs: int | None,
    idle: str | None,
    budget: tuple[str, ...],
    lease: str | None,
    poll: str | None,
    only_check: bool,
    as_json: bool,
) -> int:
    """Answer the calls of other machines that share a remote.

    Calls that were made with 'git relay req --on REMOTE' are taken one after the other. Each runs in a
    workspace of its own that holds the files that came with it, with the settings of this clone, and its
    answer is pushed. A worker that is cut off, stopped or killed loses its job to another after --lease; its
    own answer is then refused, and kept here.

    Who may push to the remote can have the peers work on this machine: --signers FILE names those who are
    answered, and --unsigned says that it is everybody.

    SIGTERM ends the worker after its job. Ctrl-C stops the job's peer and gives the job back; a second one
    ends the worker at once, and the job is free once its lease is over.

    \b
      git relay worker --remote origin --peers codex,claude --signers ~/.config/relay-signers
      git relay worker --remote origin --peers shell --unsigned --once
      git relay worker --check
    """
    from gitrelay.cli import output
    from gitrelay.ground.text import quote
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote.queue.jobs import ULID
    from gitrelay.remote.worker import readiness, running, settings
    from gitrelay.remote.worker.daily import Day

    if job is not None and ULID.fullmatch(job) is None:  # '' too: a variable of CI that is not set is not every job
        raise click.UsageError(f"--job {quote(job)} is no id of a job: 'git relay queue' lists them")
    ledger = open_ledger(Path.cwd())
    typed = settings.Typed(remote, peers, access, signers, revoked, unsigned, budget, idle, lease, poll, checks)
    offer = settings.chosen(ledger.repo, typed)
    if only_check:
        found = readiness.report(ledger, offer, {"jobs": jobs})
        click.echo(output.envelope("worker", int(bool(found.problems)), found.offer) if as_json else _told(found))
        return int(bool(found.problems))
    terms = running.terms_of(ledger.repo, offer)
    pauses = (offer.poll, 12 * offer.poll)
    wish = running.Wish(offer.remote, jobs, once or job is not None, job or "", offer.idle, offer.lease, pauses)
    made = running.Worker(ledger, wish, terms, Day(ledger, offer.budget), output.say)
    for line in readiness.warned(offer):
        output.say(f"WARNING: {line}")
    done = [{"session": one.session, "job": one.id, "end": end.value} for one, end in made.run()]
    code = int(job in made.left_alone)
    if as_json:
        said = {**readiness.described(offer), "worker": made.queue.worker, "jobs": done}
        click.echo(output.envelope("worker", code, said | {"left_alone": made.left_alone}))
    else:
        output.say(f"{counted(len(done), 'job')}, {len(made.left_alone)} left alone")
    return code


def _told(found: Report) -> str:
    """The report as lines for a person."""
    offer = found.offer
    peers = [" ".join(word for word in _of_peer(row) if word) for row in offer["peers"]]
    by = "everybody who can push"
    if offer["signers"] is not None:
        by = f"requests signed by {', '.join(offer['signed_by']) or 'nobody'} ({offer['signers']})"
    limits = [f"{offer['jobs']} jobs"] if offer["jobs"] is not None else []
    limits += [f"ends after {offer['idle']:g}s without a job"] if offer["idle"] is not None else []
    if offer["budget_day"]:
        limits.append(f"{' '.join(offer['budget_day'])} a day, of which {' '.join(offer['left_today'])} are left")
    rows = {
        "remote": offer["remote"] + _of_queue(offer),
        "peers": ", ".join(peers),
        "access": ", ".join(offer["access"]),
        "checks": "run here" if offer["checks"] else "not run here",
        "answers": by,
        "limits": "; ".join(limits) or "none",
        "used today": " ".join(offer["used_today"]) or "nothing",
        "lease": "as the engine says" if offer["lease"] is None else f"{offer['lease']:g}s",
        "asks": f"every {offer['poll']:g}s, rarer while idle",
        "repository": offer["repository"],
    }
    lines = [f"{name + ':':<12}{text}" for name, text in rows.items()]
    lines += [f"warning: {line}" for line in found.warnings]
    lines += [f"problem: {line}" for line in found.problems] or ["ready"]
    return "\n".join(lines)


def _of_queue(offer: dict[str, Any]) -> str:
    if offer["engine"] is None:
        return ""
    waiting = "" if offer["waiting"] is None else f", {counted(offer['waiting'], 'job')} not answered"
    return f" (engine {offer['engine']}{waiting})"


def _of_peer(row: dict[str, Any]) -> tuple[str, str]:
    where = "" if row["program"] is None else f"({row['program']}{', ' + row['version'] if row['version'] else ''})"
    return row["name"], where or "(not here)"
