"""Reading the ledger: an exchange, a session, the list of sessions. From git alone, in batches, never from a worktree.

Of many sessions at once `batch` reads the exchanges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from gitrelay.errors import Code, IntegrityError, UsageError
from gitrelay.git.faults import BRING_BACK, GitError
from gitrelay.git.objects import Object
from gitrelay.ground.text import quote
from gitrelay.history import commits
from gitrelay.history.exchange import Apply, Check, Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import applied, names
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.message import request_file, response_file
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, Commit, name_of, parse, remote_of
from gitrelay.protocol.record import left_out as left_out_of

_RECENT: Final = 64  # commits; the answer to the last turn is among the last three or four


def of_line(session: str, rev: str, line: Sequence[Commit]) -> list[Exchange]:
    """The exchanges that a line of commits holds, in the order they were asked; other commits are passed over."""
    asked: dict[str, Commit] = {}
    answered: dict[str, Commit] = {}
    checks: dict[str, list[Check]] = {}
    applies: dict[str, list[Apply]] = {}
    for commit in line:
        id_ = commit.id or ""
        kind = commit.subject[:4]
        if kind == "req " and id_ not in asked and names.is_id(id_):
            asked[id_] = commit
        elif kind == "res " and id_ in asked:
            answered.setdefault(id_, commit)
        elif kind == "chk " and id_ in asked:
            check = parse_trailer(commit.check or "")
            if check is not None:
                checks.setdefault(id_, []).append(Check(check[1], check[0], commit))
        elif kind == "apl " and id_ in asked:
            said = applied.parse_subject(commit.subject)
            if said is not None:
                applies.setdefault(id_, []).append(Apply(said[2], said[1], commit))
    return [
        Exchange(
            Address(session, id_),
            request,
            answered.get(id_),
            rev=rev,
            checks=tuple(checks.get(id_, ())),
            applies=tuple(applies.get(id_, ())),
        )
        for id_, request in asked.items()
    ]


def exchanges(ledger: Ledger, session: str, *, bodies: bool = False) -> list[Exchange]:
    """Every exchange of a session in turn order. Raises UsageError for an unknown session."""
    names.check_session(session)
    for rev in _places(ledger, session):
        try:
            (line,) = commits.read(ledger.repo, [rev])
        except GitError:
            if ledger.repo.ref(rev) is not None:
                raise
        else:
            found = of_line(session, rev, line)
            return with_bodies(ledger, found) if bodies else found
    raise unknown_session(ledger, session)


def _places(ledger: Ledger, session: str) -> Iterator[str]:
    """Where a session may be read: here, and if it is not here from what git fetched of a remote."""
    yield from (BRANCHES + session, ARCHIVE + session)
    yield from (row[0] for row in ledger.repo.each_ref("%(refname)", TRACKED.removesuffix("*") + session))


def unknown_session(ledger: Ledger, session: str) -> UsageError:
    import difflib

    there = {name_of(ref) for (ref,) in ledger.repo.each_ref("%(refname)", BRANCHES, ARCHIVE, TRACKED)}
    near = difflib.get_close_matches(session, sorted(name for name in there if names.is_session(name)), n=1)
    return UsageError(
        f"there is no session {quote(session)}" + (f"; did you mean {near[0]}?" if near else ""),
        hint="'git relay ls' lists the sessions",
        code=Code.UNKNOWN_SESSION,
    )


def exchange(ledger: Ledger, address: Address) -> Exchange:
    """One exchange with its messages. Raises UsageError if there is none at that address."""
    recent = _recent(ledger, address)
    if recent is not None:
        return recent
    line = exchanges(ledger, address.session)
    for found in line:
        if found.address == address:
            return with_bodies(ledger, [found])[0]
    have = f"; its last is {line[-1].address}" if line else ""
    raise UsageError(
        f"there is no exchange {quote(str(address))}{have}",
        hint=f"'git relay log {address.session}' lists the exchanges",
        code=Code.UNKNOWN_EXCHANGE,
    )


def _recent(ledger: Ledger, address: Address) -> Exchange | None:
    """As `exchange`, from the last commits of its branch alone; None if that does not tell.

    It tells if the commit of the request is among them and made the request's file: then no earlier one has it.
    """
    rev, name = BRANCHES + names.check_session(address.session), request_file(address.id)
    try:
        line = commits.last(ledger.repo, rev, _RECENT)
    except GitError:
        return None
    found = next((one for one in of_line(address.session, rev, line) if one.address == address), None)
    if found is None:
        return None
    if line[0].subject.startswith("open "):  # the whole line
        return with_bodies(ledger, [found])[0]
    before = f"{found.request.oid}^"
    parent, file, *messages = ledger.repo.objects([before, f"{before}:{name}", *_messages([found])])
    return _with(messages, [found])[0] if parent is not None and file is None else None


def trees(ledger: Ledger, address: Address) -> tuple[str, str]:
    """The trees of the caller's files, before and after an exchange.

    Raises UsageError if it is not answered, if none was recorded, or if they are not in this clone.
    """
    found = exchange(ledger, address)
    if found.response is None:
        raise UsageError(f"{address} is not answered yet", hint=f"git relay wait {address}", code=Code.NOT_ANSWERED)
    trees = [commit.tree or "" for commit in (found.request, found.response)]
    if not all(trees):
        raise UsageError(
            f"{address} has no recorded files",
            hint="there was no working tree, or it could not be read",
            code=Code.NO_TREE,
        )
    remote = remote_of(found.rev)
    if any(tree is None for tree in ledger.repo.objects([f"{tree}^{{tree}}" for tree in trees])):
        raise UsageError(
            f"the files of {address} are not in this clone",
            hint=f"git relay fetch {remote} {address.session}" if remote else "git relay fetch",
            code=Code.NO_TREE,
        )
    return trees[0], trees[1]


def left_out(ledger: Ledger, found: Exchange) -> list[str]:
    """What the recorded trees of an exchange leave out, as `path (why)`; nothing for an older one."""
    commits = [c for c in (found.request, found.response) if c and (c.left_out or "0") != "0"]
    named = [line for one in ledger.repo.objects([c.oid for c in commits]) if one for line in left_out_of(one.data)]
    return list(dict.fromkeys(named))


def by_key(ledger: Ledger, key: str) -> Exchange | None:
    """The last exchange that was asked under an idempotency key, over all sessions; None if there is none."""
    newest: tuple[int, Address] | None = None
    for row in ledger.repo.search(f"Relay-Key: {key}", "%H%x00%ct%x00%S%x00%B", (BRANCHES, ARCHIVE)):
        oid, time, ref, text = row[:4]
        commit, session = parse(oid, time, text), name_of(ref)
        if commit.key == key and names.is_session(session):
            newest = max(newest or (0, Address("", "")), (commit.time, Address(session, commit.id or "")))
    return None if newest is None else exchange(ledger, newest[1])


def without_messages(ledger: Ledger, found: Sequence[Exchange]) -> set[str]:
    """The sessions of those whose messages are not all there: one git process, which reads none of them."""
    owners = [e.address.session for e in found for _ in range(2)]
    there = ledger.repo.exist(_messages(found))
    return {session for session, is_there in zip(owners, there, strict=True) if not is_there}


def _messages(found: Sequence[Exchange]) -> list[str]:
    """What git calls the request and the response of each exchange; the request twice if it is not answered."""
    wanted = []
    for e in found:
        wanted.append(f"{e.request.oid}:{request_file(e.address.id)}")
        wanted.append(f"{e.response.oid}:{response_file(e.address.id)}" if e.response else wanted[-1])
    return wanted


def with_bodies(ledger: Ledger, found: Sequence[Exchange]) -> list[Exchange]:
    """The same exchanges with the bytes of their messages: one git process for all of them."""
    return _with(ledger.repo.objects(_messages(found)), found)


def _with(objects: Sequence[Object | None], found: Sequence[Exchange]) -> list[Exchange]:
    """The exchanges with the bytes of `objects`, in the order of `_messages`."""
    result = []
    for i, e in enumerate(found):
        request, response = objects[2 * i], objects[2 * i + 1]
        if request is None or response is None:
            raise IntegrityError(
                f"{e.address}: its file cannot be read from commit {e.request.oid[:12]} or its answer's",
                hint=BRING_BACK,
            )
        data = response.data if e.response is not None else b""
        result.append(replace(e, request_data=request.data, response_data=data))
    return result
