"""The statements of an exchange, read from the record. Nothing is written, and nothing is said that is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from gitrelay import __version__
from gitrelay.errors import Code, UsageError
from gitrelay.gate import record, verdict
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.history import batch, exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.message import check_file, response_file
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Commit
from gitrelay.provenance.attest import ranges, statements
from gitrelay.provenance.attest.statements import Reviewed, Source, Statement

_SCP: Final = re.compile(r"(?:[^/@:]+@)?([A-Za-z0-9.-]+):(?!//)([^:]+)")


def statements_of(
    ledger: Ledger, address: Address, *, remote: str = "origin", resource: str | None = None
) -> tuple[list[Statement], list[str]]:
    """(the claim, the checks and the verdict of the exchange at `address`; what could not be stated, and why).

    A verdict is about the repository `resource`, a URI, else about that of `remote`. Raises UsageError if the exchange
    is not answered, or does not exist.
    """
    found = exchanges.exchange(ledger, address)
    if found.response is None:
        raise UsageError(f"{address} is not answered yet", hint=f"git relay wait {address}", code=Code.NOT_ANSWERED)
    sources = _sources(ledger, found)
    made, untold = [], []
    answer = sources[0]
    if found.recorded == "peer":
        made.append(statements.claim(answer, str(address), found.response.tree, _said(found)))
    for check, source in zip(found.checks, sources[1:], strict=True):
        if check.commit.tree is None:
            untold.append(f"{source.name}: the files that it ran on are not recorded")
            continue
        made.append(statements.check(source, str(address), check.commit.tree, check.command, check.word))
    review = record.of_exchange(found)
    if review is not None:
        about = resource or resource_uri(ledger.repo.setting(f"remote.{remote}.url") or "")
        said = _verdict(review, found, sources, about, remote)
        if isinstance(said, str):
            untold.append(said)
        else:
            made.append(said)
    return made, untold


@dataclass(frozen=True)
class Covered:
    """A commit of a range: `checks` and `verdicts` are the addresses of those whose statements are about its files.

    A verdict on a change is about each commit in it, if the reviewer had that commit's files too.
    """

    commit: str
    tree: str
    subject: str
    checks: tuple[str, ...]
    verdicts: tuple[str, ...]

    @property
    def is_bare(self) -> bool:
        return not self.checks and not self.verdicts


def of_range(ledger: Ledger, word: str, *, remote: str = "origin") -> tuple[list[Statement], list[str], list[Covered]]:
    """(the checks and verdicts about the files of these commits; what could not be stated; each commit, oldest first).

    What peers claimed is left out. Raises UsageError for what is no range.
    """
    commits = _trees_of(ledger, ranges.commits(ledger.repo, word))
    trees = {tree for _, tree, _ in commits}
    checks: dict[str, list[str]] = {}
    verdicts: dict[str, list[str]] = {}
    made, untold = [], []
    for e in batch.read(ledger).exchanges:
        if e.response is None:
            continue
        ran = {check.commit.tree for check in e.checks} & trees
        review = record.of_exchange(e)
        saw = (review.seen | {review.tree}) & trees if review is not None else frozenset()
        if not ran and not saw:
            continue
        found, why = statements_of(ledger, e.address, remote=remote)
        found = [one for one in found if statements.kind_of(one) != statements.CLAIM]
        about = [one for one in found if statements.kind_of(one) == statements.SUMMARY or _tree_of(one) in ran]
        made += about
        untold += why
        for tree in ran:
            checks.setdefault(tree or "", []).append(str(e.address))
        if any(statements.kind_of(one) == statements.SUMMARY for one in about):
            for tree in saw:
                verdicts.setdefault(tree, []).append(str(e.address))
    listed = [Covered(c, t, s, tuple(checks.get(t, ())), tuple(verdicts.get(t, ()))) for c, t, s in commits]
    return made, untold, listed


def _trees_of(ledger: Ledger, commits: Sequence[str]) -> list[tuple[str, str, str]]:
    """(commit, its tree, its subject) of each; one git process."""
    if not commits:
        return []  # git would take HEAD
    stdin = "".join(f"{commit}\n" for commit in commits).encode()
    out = ledger.repo.run("log", "--stdin", "--no-walk=unsorted", "-z", "--format=%H %T %s", stdin=stdin)
    rows = (line.split(" ", 2) for line in out.decode("utf-8", "replace").split("\0") if line)
    return [(row[0], row[1], row[2]) for row in rows]


def _tree_of(statement: Statement) -> str | None:
    tree = statement["subject"][0]["digest"].get("gitTree")
    return tree if isinstance(tree, str) else None


def _said(found: Exchange) -> dict[str, str]:
    assert found.response is not None
    said = {"status": found.status, "verify": found.verify or "skip", "peer": found.response.peer or found.to}
    return said | ({"model": found.response.model} if found.response.model else {})


def _sources(ledger: Ledger, found: Exchange) -> list[Source]:
    """The answer and the checks, with the ids of their files: one git process."""
    assert found.response is not None
    id_ = found.address.id
    files: list[tuple[Commit, str]] = [(found.response, response_file(id_))]
    files += [(check.commit, check_file(id_, number)) for number, check in enumerate(found.checks, 1)]
    blobs = ledger.repo.objects([f"{commit.oid}:{name}" for commit, name in files])
    session = found.address.session
    return [
        Source(f"{session}/{name}", session, commit.oid, blob.oid if blob is not None else "")
        for (commit, name), blob in zip(files, blobs, strict=True)
    ]


def _verdict(
    review: verdict.Review, found: Exchange, sources: Sequence[Source], resource: str | None, remote: str
) -> Statement | str:
    """The statement, or why there is none."""
    if review.state not in (verdict.PASSED, verdict.FAILED, verdict.BYPASSED) or not review.own:
        return f"{found.address}: no verdict, the review is {verdict.REFUSED if not review.own else review.state}"
    if resource is None:
        return f"{found.address}: no verdict, remote {quote(remote)} has no address that others know: --remote NAME"
    assert found.response is not None
    bound = Reviewed(review.state, review.base, review.head, review.tree, review.policy, found.response.time)
    return statements.verdict(bound, str(found.address), resource, sources, __version__, review.bypass or "")


def resource_uri(url: str) -> str | None:
    """The repository at a remote's address as an SPDX download location, without user and password; None for a path."""
    scp = _SCP.fullmatch(url)
    if scp is not None:
        return f"git+ssh://{scp[1]}/{scp[2].lstrip('/')}"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname:
        return None
    return f"{'git' if parts.scheme == 'git' else 'git+' + parts.scheme}://{parts.hostname}{port}{parts.path}"
