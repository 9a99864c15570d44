"""Which commits of a session's branch the ledger wrote: the branch is never moved back over one of them.

A commit is the ledger's if it has the form that `session` gives it: one parent, one file more than that, nothing
else changed, a file that can be parsed and holds no secret, and an author, a subject and trailers that say what the
file says. Who wrote such a commit by hand has recorded something, as with `git relay res` or `git relay cancel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.git.objects import FILE_MODE
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import (
    FILE,
    Request,
    Response,
    parse_request,
    parse_response,
    request_file,
    response_file,
)
from gitrelay.protocol.record import Trailer, author_of, parse_raw, trailers_of
from gitrelay.protocol.words import Recorded

_MAX: Final = 500  # commits; what is recorded while one call runs is a handful
_KINDS: Final = {"req": "req", "res": "res", "check": "chk", "apply": "apl"}  # of a file, of a subject


def grown(ledger: Ledger, before: Tip, now: Tip | None, *, answers: bool = True) -> Tip:
    """The last of the ledger's own commits on the way from `before` to `now`; `before` if there is none.

    Without `answers` a peer's response is none of them: what the peer prints is to be the answer.
    """
    if now is None or now.commit == before.commit:
        return before
    walk = ("rev-list", "--first-parent", "--topo-order", f"--max-count={_MAX}", now.commit, f"^{before.commit}")
    oids = ledger.repo.run(*walk, "--").decode().split()[::-1]
    last = before
    for tip in ledger.tips(oids):
        if tip is None or not _follows(last, tip, answers=answers) or not _holds_rules(ledger, last, tip):
            break
        last = tip
    return last


def _follows(before: Tip, after: Tip, *, answers: bool) -> bool:
    """Whether `after` is `before` plus one file, recorded as the ledger does it."""
    added = set(after.entries) - set(before.entries)
    if len(after.entries) != len(before.entries) + 1 or len(added) != 1 or _parents(after.data) != [before.commit]:
        return False
    entry = next(iter(added))
    name = FILE.fullmatch(entry.name)
    if name is None or entry.mode != FILE_MODE:
        return False
    commit = parse_raw(after.commit, after.data)
    id_, kind = name[1], _KINDS.get(name[2].partition("-")[0], "")
    return (
        commit.subject.startswith(f"{kind} {id_} ")
        and commit.trailers.get(Trailer.ID) == id_
        and (kind != "req" or (before.pending is None and entry.name == request_file(after.ids[-1])))
        and (kind != "res" or entry.name == response_file(before.pending or ""))
        and (kind != "res" or answers or commit.trailers.get(Trailer.RECORDED) == Recorded.GITRELAY)
    )


def _holds_rules(ledger: Ledger, before: Tip, after: Tip) -> bool:
    """Whether the added file can be parsed, says what its commit says, and no secret is in either."""
    entry = next(iter(set(after.entries) - set(before.entries)))
    blob = ledger.repo.objects([entry.oid])[0]
    if blob is None or ledger.redactor.find((blob.data + b"\n" + after.data).decode("utf-8", "replace")):
        return False
    commit, author = parse_raw(after.commit, after.data), _author(after.data)
    try:
        if entry.name.endswith(".res.md"):
            value: Request | Response = parse_response(blob.data)
            (asked,) = [e for e in before.entries if e.name == request_file(before.pending or "")]
            request = ledger.repo.objects([asked.oid])[0]
            told = parse_request(request.data if request else b"", "")
            if (value.from_, value.to) != (told.to, told.from_):
                return False
        elif entry.name.endswith(".req.md"):
            value = parse_request(blob.data, "")
        else:
            return author.endswith("@gitrelay.invalid>")
    except (BadMessage, ValueError):
        return False
    speaker = author_of(value.from_)
    said = trailers_of(value)
    return author == f"{speaker.name} <{speaker.email}>" and all(commit.trailers.get(key) == said[key] for key in said)


def _author(data: bytes) -> str:
    """`NAME <EMAIL>` of a commit object."""
    headers = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    line = next((line for line in headers.splitlines() if line.startswith("author ")), "")
    return line.removeprefix("author ").rpartition(">")[0] + ">"


def _parents(data: bytes) -> Sequence[str]:
    headers = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    return [line.split()[1] for line in headers.splitlines() if line.startswith("parent ")]
