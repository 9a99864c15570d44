"""Whether a worker may answer a request: every word of it is a stranger's until it was checked here.

All of git's settings about signatures are given on the command line: a repository could otherwise name a program of
its own that finds every signature good.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.protocol import check, names
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import Request, parse_request, request_file
from gitrelay.protocol.record import Commit, Trailer, parse_raw, trailers_of
from gitrelay.protocol.words import Access
from gitrelay.remote.queue.jobs import Job
from gitrelay.remote.queue.record import There

LONGEST: Final = 7 * 86400  # seconds from now on that a request may be good for
CHECKS_MAX: Final = 20
_LARGEST: Final = 65_536  # bytes of a request's commit
_UNBORN: Final = "unborn"


class NotForUs(Exception):
    """A job that is left alone, and why."""


@dataclass(frozen=True)
class Terms:
    """What a worker answers: which peers, with which access, asked by whom.

    `signers` is git's file of allowed signers, None to answer anybody. `revoked` is a file of withdrawn keys. `checks`:
    whether commands that the request names are run after the answer.
    `repository` is what requests must name.
    """

    peers: tuple[str, ...]
    access: tuple[Access, ...]
    signers: Path | None
    revoked: Path | None
    repository: str
    checks: bool = False


@dataclass(frozen=True)
class Found:
    """A job's request. `answered`: the session has gone on; `expired`: nobody took it in time."""

    commit: Commit
    request: Request
    there: There
    answered: bool = False
    expired: bool = False


def repository_id(repo: Repository) -> str:
    """What a request names so that it cannot be played again elsewhere: `relay.repository`, else the first commit."""
    own = repo.setting("relay.repository")
    if own is not None:
        if not names.is_slug(own) and not names.is_object_id(own):
            raise UsageError(f"relay.repository {quote(own)}", hint="it is a slug", code=Code.BAD_CONFIG)
        return own
    try:
        roots = repo.run("rev-list", "--max-parents=0", "HEAD").decode().split()
    except GitError:
        return _UNBORN
    return min(roots, default=_UNBORN)


def check_files(terms: Terms) -> None:
    """Raise UsageError if a file of keys cannot be read."""
    for path in (terms.signers, terms.revoked):
        if path is not None and not path.is_file():
            raise UsageError(
                f"{quote_path(path)} is no file of signers",
                hint='ssh-keygen(1), ALLOWED SIGNERS, has its form: NAME namespaces="git" ssh-ed25519 AAAA...',
            )


def judge(repo: Repository, terms: Terms, job: Job, there: There) -> Found:
    """The request of `job`. Raises NotForUs; `there` is where the remote's refs are, whose objects are here."""
    if job.peer not in terms.peers:
        raise NotForUs(f"peer {job.peer} is not offered")
    (data,) = repo.objects([job.request])
    if data is None or data.kind != "commit" or len(data.data) > _LARGEST:
        raise NotForUs("its request is not on the remote")
    commit = parse_raw(job.request, data.data)
    request = _request(repo, commit, job)
    _signed(repo, terms, job)
    trailers = commit.trailers
    if trailers.get(Trailer.JOB) != job.id:
        raise NotForUs("its request was not made for this job")
    if trailers.get(Trailer.REPOSITORY) != terms.repository:
        raise NotForUs("its request was made for another repository")
    if commit.access not in terms.access:
        raise NotForUs(f"access {quote(commit.access or 'none')} is not offered")
    _checks(terms, commit)
    until = trailers.get(Trailer.NOT_AFTER, "")
    if not until.isascii() or not until.isdecimal() or len(until) > 12 or int(until) > time.time() + LONGEST:
        raise NotForUs("its time limit is missing or too far ahead")
    if commit.time < int(until) - LONGEST:
        # git holds a key that is good until a date to the date of the commit, which is its signer's to choose
        raise NotForUs("its date is too long before its time limit")
    if there.session != job.request:
        if not there.session or not _is_ancestor(repo, job.request, there.session):
            raise NotForUs("its session is at another commit on the remote")
        return Found(commit, request, there, answered=True)
    return Found(commit, request, there, expired=int(until) < time.time())


def with_files(repo: Repository, found: Found, there: There) -> Found:
    """The same with its files, which are here by now. Raises NotForUs if they are not those that it was asked on."""
    (tree,) = repo.objects([f"{there.code}^{{tree}}"]) if there.code else (None,)
    if there.session == found.there.session and (tree is None or tree.oid != found.commit.tree):
        raise NotForUs("the files that it was asked on are not on the remote")
    return replace(found, there=there, answered=found.answered or there.session != found.there.session)


def _request(repo: Repository, commit: Commit, job: Job) -> Request:
    """The message of the request, which says the same as its trailers. Raises NotForUs."""
    id_ = commit.id or ""
    if commit.kind != "req" or not names.is_id(id_) or not names.is_session(job.session):
        raise NotForUs("its commit is no request")
    (blob,) = repo.objects([f"{commit.oid}:{request_file(id_)}"])
    try:
        request = parse_request(blob.data if blob is not None else b"", job.session)
    except BadMessage as e:
        raise NotForUs(f"its message cannot be read: {e}") from None
    said = trailers_of(request)
    if request.to != job.peer or any(commit.trailers.get(key) != value for key, value in said.items()):
        raise NotForUs("its message says something else than its commit")
    return request


def checks_of(commit: Commit) -> tuple[str, ...] | None:
    """The commands that the request wants to be run after the answer; None if they cannot be read."""
    found = check.parse_list(commit.trailers.get(Trailer.REMOTE_CHECKS, ""))
    return None if found is None or len(found) > CHECKS_MAX else found


def _checks(terms: Terms, commit: Commit) -> None:
    """Raise NotForUs for checks that this worker does not run: they are shell commands, and no sandbox holds them."""
    found = checks_of(commit)
    if found is None:
        raise NotForUs("its checks cannot be read")
    if found and not terms.checks:
        raise NotForUs("it wants checks to be run here, and they are not offered (--run-checks)")
    if found and commit.access == Access.READ:
        raise NotForUs("it wants checks to be run here, and has read access only")


def _signed(repo: Repository, terms: Terms, job: Job) -> None:
    """Raise NotForUs unless one of the signers has signed the request, or anybody is answered."""
    if terms.signers is None:
        return
    verdict = signer_of(repo, job.request, terms.signers, terms.revoked)
    if not verdict:
        raise NotForUs("its request is not signed by anybody whom this worker answers")


def signer_of(repo: Repository, commit: str, signers: Path, revoked: Path | None) -> str:
    """Who of the file `signers` has signed `commit`, '' for nobody of them; told by git's letter, not by its text."""
    settings = {
        "gpg.format": "ssh",
        "gpg.program": "false",
        "gpg.openpgp.program": "false",
        "gpg.x509.program": "false",
        "gpg.ssh.program": "ssh-keygen",
        "gpg.ssh.allowedSignersFile": str(signers.absolute()),
        "gpg.ssh.revocationFile": str(revoked.absolute()) if revoked is not None else "",
        "gpg.minTrustLevel": "undefined",
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    try:
        out = repo.run(*words, "log", "--no-walk", "--format=%G?%x00%GS", "--end-of-options", commit, "--")
    except RelayError:
        return ""
    letter, _, name = out.decode("utf-8", "replace").removesuffix("\n").partition("\0")
    return name if letter == "G" else ""


def _is_ancestor(repo: Repository, one: str, other: str) -> bool:
    try:
        repo.run("merge-base", "--is-ancestor", one, other)
    except GitError:
        return False
    return True
