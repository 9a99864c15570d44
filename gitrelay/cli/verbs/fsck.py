"""`git relay fsck`: hold the sessions to every rule of the protocol."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.protocol import names


@click.command("fsck")
@click.option("--require-signed", is_flag=True, help="Every commit must bear a good signature.")
@click.option(
    "--allowed-signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The ssh keys that may sign (ssh-keygen(1), ALLOWED SIGNERS). Default: gpg.ssh.allowedSignersFile.",
)
@click.option(
    "--witness",
    metavar="REMOTE",
    shell_complete=candidates.remotes,
    help="Compare with what was pushed to this remote; it is only read.",
)
# these two are for hooks/update, which sees a push before its objects are in the repository
@click.option("--pushed", nargs=2, metavar="OLD NEW", hidden=True, help="Judge what a push brings to SESSION.")
@click.option("--objects", type=click.Path(path_type=Path), hidden=True, help="Where the push's objects are.")
@json_option
@click.argument("sessions", nargs=-1, metavar="[SESSION]...", shell_complete=candidates.sessions)
def command(
    sessions: tuple[str, ...],
    require_signed: bool,
    allowed_signers: Path | None,
    witness: str | None,
    pushed: tuple[str, str] | None,
    objects: Path | None,
    as_json: bool,
) -> int:
    """Hold the sessions to every rule of the protocol.

    All of them, archived ones too, unless some are named. A broken rule is one line: its code, where,
    the commit, what is wrong and what to do; the codes are listed in 'git relay help evidence'. The exit code is
    1 if there is one. A note is what an honest record may have too. Nothing is changed.

    \b
    git relay fsck
    git relay fsck --witness origin
    git relay fsck --require-signed --allowed-signers allowed-signers auth-refactor
    """
    for session in sessions:
        names.check_session(session)
    if pushed is not None and (len(sessions) != 1 or require_signed or witness is not None):
        raise click.UsageError("--pushed judges one SESSION, without --witness and --require-signed")
    if pushed is not None and not all(map(names.is_object_id, pushed)):
        raise click.UsageError("--pushed takes two object ids")
    if objects is not None and pushed is None:
        raise click.UsageError("--objects belongs to --pushed")
    if allowed_signers is not None and not require_signed:
        raise click.UsageError("--allowed-signers belongs to --require-signed")

    from gitrelay.audit import inspection
    from gitrelay.cli import output
    from gitrelay.cli.table import columns
    from gitrelay.errors import OK, VERIFY_FAILED
    from gitrelay.git.repository import Repository

    repo = Repository.open(Path.cwd())
    if pushed is not None:
        report = inspection.inspect_push(repo, sessions[0], inspection.Pushed(*pushed, objects))
    else:
        report = inspection.inspect(
            repo,
            sessions,
            require_signed=require_signed,
            allowed_signers=allowed_signers,
            witness=witness,
        )
    code = VERIFY_FAILED if report.findings else OK
    if as_json:
        errors = [{"code": f.code, "message": f"{f.address}: {f.message}", "hint": f.hint} for f in report.findings]
        click.echo(output.envelope("fsck", code, dataclasses.asdict(report), errors))
        return code
    table = [[f.code, f.address, f.commit[:12], f"{f.message}; {f.hint}"] for f in report.findings]
    table += [[f"note:{f.code}", f.address, f.commit[:12], f"{f.message}; {f.hint}"] for f in report.notes]
    if table:
        click.echo(columns(["CODE", "WHERE", "COMMIT", "FOUND"], table))
    if report.absent:
        output.say(f"{report.absent} trees of the callers' files are not in this clone and were not looked for")
    said = f"{len(report.findings)} findings" if report.findings else "no findings"
    said += f", {len(report.notes)} notes" if report.notes else ""
    output.say(f"{report.sessions} sessions, {report.exchanges} exchanges: {said}")
    return code
