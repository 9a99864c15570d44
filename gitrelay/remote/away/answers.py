"""An answer that a remote has for a request of ours: checked in a fixed order before anybody sees it.

A worker may lie about anything that it did; it cannot make its answer look like another call's, bring more than one
commit, or change the request. What is refused is kept below `refs/relay/rejected/`.
"""

from __future__ import annotations

import contextlib
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.git.objects import TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.protocol.frontmatter import MAX_BYTES, BadMessage
from gitrelay.protocol.message import Response, parse_response, response_file
from gitrelay.protocol.record import BRANCHES, CODE, Commit, Trailer, parse_raw, trailers_of
from gitrelay.remote import known
from gitrelay.remote.queue.jobs import Job
from gitrelay.remote.queue.record import There
from gitrelay.remote.queue.text import is_worker

REJECTED: Final = "refs/relay/rejected/"
_LARGEST: Final = 262_144  # bytes of an answer's commit
_MODES: Final = ("100644",)


def fault(ledger: Ledger, job: Job, asked: Exchange, there: There) -> str:
    """Why the answer at `there` is not one to the request of `asked`, '' if it is. Its objects are here."""
    repo = ledger.repo
    commit, before, mine = repo.objects([there.session, f"{there.session}^{{tree}}", f"{job.request}^{{tree}}"])
    if commit is None or before is None or mine is None or commit.kind != "commit" or len(commit.data) > _LARGEST:
        return "it is no commit of a usual size"
    if _parents(commit.data) != [job.request]:
        return "it is not one commit right behind the request"
    answer = parse_raw(there.session, commit.data)
    return (
        _of_another_call(answer, job, asked)
        or _of_another_message(repo, answer, asked, repo.tree_entries(mine.data), repo.tree_entries(before.data))
        or _of_other_files(repo, answer, asked, there, repo.ref(CODE + job.session) or "")
    )


def _of_another_call(answer: Commit, job: Job, asked: Exchange) -> str:
    trailers = answer.trailers
    if answer.kind != "res" or answer.id != asked.address.id:
        return "its commit is no answer to this request"
    if trailers.get(Trailer.JOB) != job.id:
        return "it names another job"
    epoch = trailers.get(Trailer.EPOCH, "")
    if not epoch.isascii() or not epoch.isdecimal() or len(epoch) > 6 or int(epoch) < 1:
        return "it names no attempt"
    if not is_worker(trailers.get(Trailer.WORKER, "")):
        return "it names no worker"
    return ""


def _of_another_message(
    repo: Repository, answer: Commit, asked: Exchange, before: list[TreeEntry], after: list[TreeEntry]
) -> str:
    """The session has one file more, the response, which says what the commit says."""
    name = response_file(asked.address.id)
    new = [entry for entry in after if entry not in before]
    if len(after) != len(before) + 1 or [entry.name for entry in new] != [name] or new[0].mode not in _MODES:
        return "it changes more of the session than the response"
    (blob,) = repo.objects([new[0].oid])
    if blob is None or blob.kind != "blob" or len(blob.data) > MAX_BYTES:
        return "its message is missing or too large"
    try:
        said: Response = parse_response(blob.data)
    except BadMessage as e:
        return f"its message cannot be read: {plain(str(e), 200)}"
    if (said.re, said.from_, said.to) != (asked.address.id, asked.to, asked.from_):
        return "its message is addressed to another call"
    for key, value in trailers_of(said).items():
        if answer.trailers.get(key) != value:
            return f"its message and its commit differ in {key}"
    return ""


def _of_other_files(repo: Repository, answer: Commit, asked: Exchange, there: There, mine: str) -> str:
    """The files that it names are on the remote, and were made from those that the request was asked on."""
    tree = answer.tree
    if tree is None:
        return "" if there.code == mine else "it brings files that it does not name"
    code, held = repo.objects([there.code, f"{there.code}^{{tree}}"]) if there.code else (None, None)
    if code is None or held is None or held.oid != tree:
        return "the files that it names are not on the remote"
    if there.code == mine:
        return ""
    if _parents(code.data) != ([mine] if mine else []):
        return "its files were not made from those of the request"
    return ""


def _parents(data: bytes) -> list[str]:
    lines = data.partition(b"\n\n")[0].split(b"\n")
    return [line[7:].decode("ascii", "replace") for line in lines if line.startswith(b"parent ")]


def take(ledger: Ledger, remote: str, job: Job, there: There) -> None:
    """Make the answer this clone's record: the session's branch and its files, in one step or not at all.

    Nothing happens if another command has taken it, or ended the call, meanwhile.
    That `remote` has shown it is remembered, so that a remote which goes back on it is noticed.
    """
    repo, name = ledger.repo, job.session
    with locked(ledger, name) as held:
        before = held.tip()
        if before is None or before.commit != job.request:
            return
        code = repo.ref(CODE + name) or ""
        moves = [(BRANCHES + name, there.session, job.request)]
        if there.code and there.code != code:
            moves.append((CODE + name, there.code, code or repo.no_object))
        code_shown = {name: there.code} if there.code else {}
        moves += known.moves(repo, remote, known.read(repo, remote), {name: there.session}, code_shown)
        repo.move_refs(moves, f"answer of job {job.id}")
        tip = held.tip()
        if tip is not None and held.worktree.is_sound():
            with contextlib.suppress(RelayError, OSError):
                held.worktree.restore(tip.entries)


def reject(ledger: Ledger, job: Job, there: There, why: str) -> None:
    """Keep an answer that was refused, with the reason, where no verb takes it for the record."""
    repo = ledger.repo
    place = f"{REJECTED}{job.session}/{there.session[:12]}"
    pairs = [(place, there.session), (f"{place}-files", there.code)]
    moves = [(ref, oid, repo.no_object) for ref, oid in pairs if oid and repo.ref(ref) is None]
    if moves:
        repo.move_refs(moves, f"rejected: {plain(why, 200)}")
