"""`git relay worker`: answer the calls of other machines."""

from __future__ import annotations

from pathlib import Path

import click

from gitrelay.cli.options import json_option
from gitrelay.ground import duration
from gitrelay.ground.text import counted


@click.command("worker")
@click.option("--remote", required=True, metavar="R", help="The remote that calls come through.")
@click.option("--peers", required=True, metavar="P,...", help="The peers of this machine that others may ask.")
@click.option(
    "--access", "levels", default="read,write", metavar="A,...", help="What they may ask for. Default read,write."
)
@click.option(
    "--signers", metavar="FILE", help="Answer only requests that one of these has signed (ssh-keygen's form)."
)
@click.option("--revoked", metavar="FILE", help="Keys that have been withdrawn, with --signers (ssh-keygen's form).")
@click.option("--unsigned", is_flag=True, help="Answer everybody who can push to the remote.")
@click.option("--once", is_flag=True, help="Answer what waits now, then end.")
@click.option("--job", metavar="ID", default="", help="Answer this job only.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="End after N jobs.")
@click.option("--lease", metavar="D", help="How long a silent worker keeps its job. Default 60s.")
@click.option("--poll", default="5s", metavar="D", help="How often the remote is asked; rarer while idle. Default 5s.")
@click.option("--check", "only_check", is_flag=True, help="Say what would be offered, and take no job.")
@json_option
def command(
    remote: str,
    peers: str,
    levels: str,
    signers: str | None,
    revoked: str | None,
    unsigned: bool,
    once: bool,
    job: str,
    jobs: int | None,
    lease: str | None,
    poll: str,
    only_check: bool,
    as_json: bool,
) -> int:
    """Answer the calls of other machines that share a remote.

    Calls that were made with 'git relay req --on REMOTE' are taken one after the other. Each runs in a
    workspace of its own that holds the files that came with it, with the settings of this clone, and its
    answer is pushed. A worker that is cut off, stopped or killed loses its job to another after --lease; its
    own answer is then refused, and kept here.

    Who may push to the remote can have the peers work on this machine: --signers FILE names those who are
    answered, and --unsigned says that it is everybody. SIGTERM ends the worker after its job.

    \b
      git relay worker --remote origin --peers codex,claude --signers ~/.config/relay-signers
      git relay worker --remote origin --peers shell --unsigned --once
    """
    wanted, access = _words(peers), _words(levels)
    if not wanted:
        raise click.UsageError(f"--peers {peers!r} names no peer")
    if not access or not set(access) <= {"read", "write", "full"}:
        raise click.UsageError(f"--access {levels!r}: it is read, write, full, or several with commas")
    if unsigned == (signers is not None):
        raise click.UsageError("say who is answered: --signers FILE, or --unsigned for everybody who can push")
    if revoked is not None and signers is None:
        raise click.UsageError("--revoked goes with --signers")
    seconds = None if lease is None else duration.parse(lease, "--lease")
    pause = duration.parse(poll, "--poll")

    from gitrelay.cli import output
    from gitrelay.ledger.ledger import open_ledger
    from gitrelay.remote import worker

    ledger = open_ledger(Path.cwd())
    files = [None if name is None else Path(name).expanduser().absolute() for name in (signers, revoked)]
    terms = worker.terms_of(ledger.repo, wanted, access, files[0], files[1])
    wish = worker.Wish(remote, jobs, once or bool(job), job, seconds, (pause, 12 * pause))
    made = worker.Worker(ledger, wish, terms, output.say)
    if terms.signers is None:
        output.say("WARNING: everybody who can push to this remote can have these peers work on this machine")
    offer = {
        "remote": remote,
        "peers": list(terms.peers),
        "access": [str(one) for one in terms.access],
        "signers": str(terms.signers) if terms.signers is not None else None,
        "worker": made.queue.worker,
    }
    if only_check:
        made.close()
        told = (
            f"{made.queue.worker} would offer {', '.join(terms.peers)} with {' and '.join(access)} access at {remote}"
        )
        click.echo(output.envelope("worker", 0, offer) if as_json else told)
        return 0
    done = [{"session": one.session, "job": one.id, "end": end.value} for one, end in made.run()]
    if as_json:
        click.echo(output.envelope("worker", 0, {**offer, "jobs": done, "left_alone": made.left_alone}))
    else:
        output.say(f"{counted(len(done), 'job')}, {len(made.left_alone)} left alone")
    return 0


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
