"""`git relay attest`: what the record says of an exchange, signed in a form that other tools verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitrelay.cli import candidates
from gitrelay.cli.options import json_option
from gitrelay.errors import UsageError
from gitrelay.ground.text import counted

if TYPE_CHECKING:
    from gitrelay.ledger.ledger import Ledger
    from gitrelay.provenance.attest.statements import Statement


@click.command("attest")
@click.option("--session", metavar="S", shell_complete=candidates.sessions, help="All answered exchanges of a session.")
@click.option("--key", metavar="KEY", help="Whose ssh key signs: a file or SHA256:... Default: git's user.signingKey.")
@click.option(
    "--form",
    type=click.Choice(["raw", "sshsig"]),
    help="raw, which most verifiers read (the default), or sshsig, which ssh-keygen -Y verify reads.",
)
@click.option("--unsigned", is_flag=True, help="Print the bare statements, one a line, and sign nothing.")
@click.option("--store", is_flag=True, help="Keep them in refs/attestations/, too.")
@click.option("--remote", default="origin", metavar="NAME", help="The repository of a verdict. Default: origin.")
@click.option("--verify", metavar="FILE|REF", help="Check signed statements, and compare them with the record.")
@click.option(
    "--signers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Whose signatures --verify believes: ssh's allowed signers. Default: gpg.ssh.allowedSignersFile.",
)
@json_option
@click.argument("addresses", nargs=-1, metavar="[ADDRESS|A..B]...", shell_complete=candidates.addresses)
def command(
    addresses: tuple[str, ...],
    session: str | None,
    key: str | None,
    form: str | None,
    unsigned: bool,
    store: bool,
    remote: str,
    verify: str | None,
    signers: Path | None,
    as_json: bool,
) -> int:
    """Print what the record says of an exchange as signed statements that other tools verify.

    Each is an in-toto statement in a DSSE envelope, one a line: the result of a check that gitrelay ran, and on
    which files; the verdict of a review; and, apart from both, what the peer claimed. The ssh key signs through
    an agent. --verify says of each statement in a file or a ref who signed it, and whether the record here says
    the same; exit code 1 if one is not good.

    A..B is a range of commits: every check that ran on the files of one of them, and every verdict of a review
    that had them. A commit of which nothing can be stated is named on stderr.

    \b
      git relay attest auth/03
      git relay attest --store v1.0..v1.1
      git relay attest --verify refs/attestations/trees --signers allowed-signers
    """
    from gitrelay.ledger.ledger import open_ledger

    ledger = open_ledger(Path.cwd())
    if verify is not None:
        if addresses or session or unsigned or store or key or form:
            raise UsageError("--verify takes no address and signs nothing", hint="git relay attest --verify FILE|REF")
        return _verify(ledger, verify, signers, as_json)
    if unsigned and (store or form):
        what = "--store keeps signed statements only" if store else "--form is that of a signature"
        raise UsageError(what, hint="leave out --unsigned")
    made, commits = _statements(ledger, addresses, session, remote)
    lines = _unsigned(made) if unsigned else _signed(ledger, made, key, form, store)
    if as_json:
        from gitrelay.cli import output

        click.echo(output.envelope("attest", 0, {"statements": made, "lines": lines, "commits": commits}))
        return 0
    for line in lines:
        click.echo(line)
    return 0


def _statements(
    ledger: Ledger, words: tuple[str, ...], session: str | None, remote: str
) -> tuple[list[Statement], list[dict[str, Any]]]:
    """(the statements; the commits of ranges with what is stated of each). What is not stated is told on stderr."""
    from gitrelay.cli import addressing, output
    from gitrelay.history import exchanges
    from gitrelay.provenance.attest import attesting, ranges

    made: list[Statement] = []
    commits: list[dict[str, Any]] = []
    for word in words:
        if ranges.is_range(word):
            found, rows = _of_range(ledger, word, remote)
            made += [one for one in found if one not in made]
            commits += rows
    wanted = [addressing.meant(ledger, word) for word in words if not ranges.is_range(word)]
    if session is not None:
        wanted += [e.address for e in exchanges.exchanges(ledger, session) if e.response is not None]
    if not wanted and not commits:
        wanted = [addressing.meant(ledger, None)]
    for address in dict.fromkeys(wanted):
        found, untold = attesting.statements_of(ledger, address, remote=remote)
        made += [one for one in found if one not in made]
        for why in untold:
            output.say(why)
    if not made:
        what = ", ".join([*map(str, wanted), *filter(ranges.is_range, words)])
        raise UsageError(
            f"nothing can be stated of {what}: no check, no verdict, no answer of a peer's own",
            hint="ask with --check, or 'git relay check-again'",
        )
    return made, commits


def _of_range(ledger: Ledger, word: str, remote: str) -> tuple[list[Statement], list[dict[str, Any]]]:
    from gitrelay.cli import output
    from gitrelay.errors import Code
    from gitrelay.provenance.attest import attesting

    made, untold, commits = attesting.of_range(ledger, word, remote=remote)
    if not commits:
        raise UsageError(f"{word} holds no commit", hint="git log --oneline A..B", code=Code.UNKNOWN_REVISION)
    for why in untold:
        output.say(why)
    bare = [one for one in commits if one.is_bare]
    for one in bare:
        output.say(f"no check and no verdict: {one.commit[:12]} {one.subject}")
    output.say(f"{word}: {len(commits) - len(bare)} of {counted(len(commits), 'commit')} with a statement")
    rows = [{"commit": c.commit, "tree": c.tree, "checks": c.checks, "verdicts": c.verdicts} for c in commits]
    return made, rows


def _unsigned(made: list[Statement]) -> list[str]:
    from gitrelay.provenance.attest import statements

    return [statements.payload(one).decode() for one in made]


def _signed(ledger: Ledger, made: list[Statement], key: str | None, form: str | None, store: bool) -> list[str]:
    from gitrelay.calls import within
    from gitrelay.cli import output
    from gitrelay.protocol.words import Access
    from gitrelay.provenance.attest import attestations, signing, statements

    if store:
        within.require(ledger, Access.WRITE, "git relay attest --store")
    with signing.signer(ledger.repo, key, form or signing.RAW) as signer:
        envelopes = [signer.envelope(statements.payload(one)) for one in made]
    if store:
        for ref in attestations.store(ledger.repo, list(zip(made, envelopes, strict=True))):
            output.say(f"kept in {ref}; 'git push REMOTE {ref}' shares it")
    return [envelope.line() for envelope in envelopes]


def _verify(ledger: Ledger, place: str, signers: Path | None, as_json: bool) -> int:
    from gitrelay.cli import output
    from gitrelay.errors import OK, VERIFY_FAILED, Code
    from gitrelay.provenance.attest import signing, verifying

    named = signers or ledger.repo.setting("gpg.ssh.allowedsignersfile")
    if not named:
        raise UsageError(
            "whose signatures are to be believed?",
            hint="--signers FILE, or git config gpg.ssh.allowedSignersFile FILE",
            code=Code.NO_SIGNATURES,
        )
    keys = signing.believed(Path(named).expanduser())
    found = list(verifying.verified(ledger, verifying.lines_of(ledger, place), keys))
    if not found:
        raise UsageError(f"there is no statement in {place!r}", hint="git relay attest --store ADDRESS")
    code = OK if all(one.is_good for one in found) else VERIFY_FAILED
    if as_json:
        rows: list[dict[str, Any]] = [
            {"good": one.is_good, "signer": one.signer, "said": one.said, "record": one.record, "why": one.why}
            for one in found
        ]
        click.echo(output.envelope("attest", code, {"verified": rows}))
        return code
    for one in found:
        facts = [one.said, f"signed by {one.signer}" if one.signer else "", one.record, one.why]
        click.echo(output.safe(f"{'good' if one.is_good else 'bad'}: {'; '.join(fact for fact in facts if fact)}"))
    return code
