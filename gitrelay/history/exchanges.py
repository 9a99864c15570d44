"""Reading the ledger: an exchange, a session, the list of sessions. From git alone, in batches, never from a worktree.

Of many sessions at once `transcripts` reads the exchanges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gitrelay.errors import OK, PENDING, VERIFY_FAILED, IntegrityError, UsageError, exit_code_of
from gitrelay.git.repository import BRING_BACK, GitError
from gitrelay.history import commits
from gitrelay.history.commits import Commit
from gitrelay.ledger.session import ARCHIVE, BRANCHES, Ledger
from gitrelay.ledger.snapshot import CODE
from gitrelay.protocol import names
from gitrelay.protocol.check import parse_trailer
from gitrelay.protocol.message import BadMessage, Response, parse_response, request_file, response_file
from gitrelay.protocol.names import Address

_TRAILERS = "%(trailers:only=true,unfold=true)"
DAMAGED: Final = "damaged"  # the status of a session whose last commits cannot be read
_LOOK_BACK: Final = 5  # commits; an answer, its request and three checks are told from the last commit and these


@dataclass(frozen=True)
class Check:
    """One recorded check of an exchange. `word` is `pass`, `fail (exit 1)`, `timeout` or `lost`."""

    command: str
    word: str
    commit: Commit


@dataclass(frozen=True)
class Exchange:
    """A request and, once it is there, its response. `request_data`, `response_data` are filled where asked for."""

    address: Address
    request: Commit
    response: Commit | None
    request_data: bytes = b""
    response_data: bytes = b""
    rev: str = field(default="", repr=False)
    checks: tuple[Check, ...] = ()

    @property
    def from_(self) -> str:
        return self.request.trailers.get("Relay-From", "")

    @property
    def to(self) -> str:
        return self.request.trailers.get("Relay-To", "")

    @property
    def status(self) -> str:
        return self.response.trailers.get("Relay-Status", "error") if self.response else "pending"

    @property
    def verify(self) -> str | None:
        return self.response.trailers.get("Relay-Verify", "skip") if self.response else None

    @property
    def reason(self) -> str | None:
        return self.response.trailers.get("Relay-Reason") if self.response else None

    @property
    def recorded(self) -> str | None:
        return self.response.trailers.get("Relay-Recorded", "gitrelay") if self.response else None

    @property
    def exit_code(self) -> int:
        if self.response is None:
            return PENDING
        code = exit_code_of(self.status, self.verify or "skip", self.reason, self.recorded or "")
        return VERIFY_FAILED if code == OK and self.failed_checks else code

    @property
    def failed_checks(self) -> list[Check]:
        """The checks whose last run did not pass."""
        last = {check.command: check for check in self.checks}
        return [check for check in last.values() if check.word != "pass"]

    @property
    def answer(self) -> Response | None:
        """The response file, parsed. Raises IntegrityError where what is recorded is not a response."""
        if self.response is None:
            return None
        try:
            return parse_response(self.response_data)
        except BadMessage as e:
            raise IntegrityError(f"{self.address}: {response_file(self.address.id)}: {e}") from e


@dataclass(frozen=True)
class SessionSummary:
    """A session as `ls` shows it, read from its last commit alone. `last` is that commit's time."""

    name: str
    archived: bool
    turns: int
    from_: str
    to: str
    status: str
    verify: str | None
    reason: str | None
    last: int
    subject: str


def sessions(ledger: Ledger) -> list[SessionSummary]:
    """Every session, the one that spoke last first; three git processes at most, however many there are.

    The status of one that cannot be read is DAMAGED.
    """
    found: list[SessionSummary] = []
    checked: dict[str, str] = {}
    for ref, oid, time, subject, trailer_text in _tips(ledger, found):
        name = name_of(ref)
        if not names.is_session(name):
            continue
        kind = subject.partition(" ")[0]
        if kind == "chk":  # the last word is a check's; how the exchange stands is told further back
            checked[ref] = oid
            continue
        trailers = _trailers(trailer_text)
        asking = kind == "req"
        speaker, listener = trailers.get("Relay-From", ""), trailers.get("Relay-To", "")
        found.append(
            SessionSummary(
                name=name,
                archived=ref.startswith(ARCHIVE),
                turns=_turns(trailers.get("Relay-Id", "")),
                from_=speaker if asking else listener,
                to=listener if asking else speaker,
                status="pending" if asking else trailers.get("Relay-Status", "open" if kind == "open" else "unknown"),
                verify=trailers.get("Relay-Verify"),
                reason=trailers.get("Relay-Reason"),
                last=int(time or 0),
                subject=subject,
            )
        )

    def checks_of(refs: Sequence[str]) -> dict[str, SessionSummary]:
        ends = _ends(ledger, [checked[ref] for ref in refs])
        return {ref: _checked(ref, line) for ref, line in zip(refs, ends, strict=True)}

    summaries, damaged = commits.by_halves(list(checked), checks_of)
    found += [*summaries.values(), *map(_damaged, damaged)]
    return sorted(found, key=lambda s: (-s.last, s.name))


def _tips(ledger: Ledger, unreadable: list[SessionSummary]) -> list[list[str]]:
    """Ref, id, time, subject and trailers of each session's last commit; those that are damaged go to `unreadable`."""
    fields = ("refname", "objectname", "committerdate:unix", "contents:subject", "contents:trailers:only,unfold")
    format_ = "%00".join(f"%({field_})" for field_ in fields)
    try:
        return ledger.repo.each_ref(format_, BRANCHES, ARCHIVE)
    except GitError:
        refs = [row[0] for row in ledger.repo.each_ref("%(refname)", BRANCHES, ARCHIVE)]
    rows, damaged = commits.by_halves(
        [ref for ref in refs if names.is_session(name_of(ref))],
        lambda part: {row[0]: row for row in ledger.repo.each_ref(format_, *part)},
    )
    unreadable += map(_damaged, damaged)
    return list(rows.values())


def _damaged(ref: str) -> SessionSummary:
    return SessionSummary(name_of(ref), ref.startswith(ARCHIVE), 0, "", "", DAMAGED, None, None, 0, "")


def name_of(ref: str) -> str:
    """The session whose branch, or archived branch, `ref` is."""
    return ref.removeprefix(BRANCHES).removeprefix(ARCHIVE)


def _turns(id_: str) -> int:
    return int(id_) if names.is_turn(id_) else 1 if id_ else 0


def _ends(ledger: Ledger, tips: Sequence[str]) -> list[list[Commit]]:
    """The end of each line, from its last request on at least; one git process for all, two where many checks ran."""
    wanted = [f"{tip}~{back}" for tip in tips for back in range(_LOOK_BACK - 1, -1, -1)]
    objects = ledger.repo.objects(wanted)
    read = [commits.parse_raw(o.oid, o.data) if o is not None and o.kind == "commit" else None for o in objects]
    ends = [
        [commit for commit in read[at : at + _LOOK_BACK] if commit is not None]
        for at in range(0, len(wanted), _LOOK_BACK)
    ]
    short = [i for i, end in enumerate(ends) if not any(commit.subject.startswith("req ") for commit in end)]
    for i, line in zip(short, commits.read(ledger.repo, [tips[i] for i in short]), strict=True):
        ends[i] = line
    return ends


def _checked(ref: str, line: Sequence[Commit]) -> SessionSummary:
    """A session whose last commit is a check's, told from the end of its line."""
    name, archived, tip = name_of(ref), ref.startswith(ARCHIVE), line[-1]
    found = of_line(name, ref, line)
    if not found:
        return SessionSummary(name, archived, 0, "", "", "unknown", None, None, tip.time, tip.subject)
    last = found[-1]
    return SessionSummary(
        name=name,
        archived=archived,
        turns=_turns(last.address.id),
        from_=last.from_,
        to=last.to,
        status=last.status,
        verify="fail" if last.failed_checks else last.verify,
        reason=last.reason,
        last=tip.time,
        subject=tip.subject,
    )


def of_line(session: str, rev: str, line: Sequence[Commit]) -> list[Exchange]:
    """The exchanges that a line of commits holds, in the order they were asked; other commits are passed over."""
    asked: dict[str, Commit] = {}
    answered: dict[str, Commit] = {}
    checks: dict[str, list[Check]] = {}
    for commit in line:
        id_ = commit.trailers.get("Relay-Id", "")
        kind = commit.subject[:4]
        if kind == "req " and id_ not in asked and names.is_id(id_):
            asked[id_] = commit
        elif kind == "res " and id_ in asked:
            answered.setdefault(id_, commit)
        elif kind == "chk " and id_ in asked:
            check = parse_trailer(commit.trailers.get("Relay-Check", ""))
            if check is not None:
                checks.setdefault(id_, []).append(Check(check[1], check[0], commit))
    return [
        Exchange(Address(session, id_), request, answered.get(id_), rev=rev, checks=tuple(checks.get(id_, ())))
        for id_, request in asked.items()
    ]


def exchanges(ledger: Ledger, session: str, *, bodies: bool = False) -> list[Exchange]:
    """Every exchange of a session in turn order. Raises UsageError for an unknown session."""
    names.check_session(session)
    for rev in (BRANCHES + session, ARCHIVE + session):
        try:
            (line,) = commits.read(ledger.repo, [rev])
        except GitError:
            if ledger.repo.ref(rev) is not None:
                raise
        else:
            found = of_line(session, rev, line)
            return with_bodies(ledger, found) if bodies else found
    raise unknown_session(session)


def unknown_session(session: str) -> UsageError:
    return UsageError(
        f"there is no session {names.quote(session)}",
        hint="'git relay ls' lists the sessions",
        code="unknown-session",
    )


def exchange(ledger: Ledger, address: Address) -> Exchange:
    """One exchange with its messages. Raises UsageError where there is none at that address."""
    for found in exchanges(ledger, address.session):
        if found.address == address:
            return with_bodies(ledger, [found])[0]
    raise UsageError(
        f"there is no exchange {names.quote(str(address))}",
        hint=f"'git relay log {address.session}' lists the exchanges",
        code="unknown-exchange",
    )


def trees(ledger: Ledger, address: Address) -> tuple[str, str]:
    """The trees of the caller's files, before and after an exchange.

    Raises UsageError where it is not answered, where none was recorded, or where they are not in this clone.
    """
    found = exchange(ledger, address)
    if found.response is None:
        raise UsageError(f"{address} is not answered yet", hint=f"git relay wait {address}", code="not-answered")
    trees = [commit.trailers.get("Relay-Tree", "") for commit in (found.request, found.response)]
    if not all(trees):
        raise UsageError(
            f"{address} has no recorded files",
            hint="there was no working tree, or it could not be read",
            code="no-tree",
        )
    if any(tree is None for tree in ledger.repo.objects([f"{tree}^{{tree}}" for tree in trees])):
        raise UsageError(
            f"the files of {address} are not in this clone",
            hint=f"git fetch REMOTE '{CODE}*:{CODE}*'",
            code="no-tree",
        )
    return trees[0], trees[1]


def by_key(ledger: Ledger, key: str) -> Exchange | None:
    """The last exchange that was asked under an idempotency key, over all sessions; None where there is none."""
    newest: tuple[int, Address] | None = None
    for row in ledger.repo.search(f"Relay-Key: {key}", f"%ct%x00%S%x00{_TRAILERS}", (BRANCHES, ARCHIVE)):
        trailers = _trailers(row[2])
        session = row[1].removeprefix(BRANCHES).removeprefix(ARCHIVE)
        if trailers.get("Relay-Key") == key and names.is_session(session):
            newest = max(newest or (0, Address("", "")), (int(row[0]), Address(session, trailers.get("Relay-Id", ""))))
    return None if newest is None else exchange(ledger, newest[1])


def with_bodies(ledger: Ledger, found: Sequence[Exchange]) -> list[Exchange]:
    """The same exchanges with the bytes of their messages: one git process for all of them."""
    wanted = []
    for e in found:
        wanted.append(f"{e.request.oid}:{request_file(e.address.id)}")
        wanted.append(f"{e.response.oid if e.response else e.request.oid}:{response_file(e.address.id)}")
    objects = ledger.repo.objects(wanted)
    result = []
    for i, e in enumerate(found):
        request, response = objects[2 * i], objects[2 * i + 1]
        if request is None or (e.response is not None and response is None):
            raise IntegrityError(
                f"{e.address}: its file cannot be read from commit {e.request.oid[:12]} or its answer's",
                hint=BRING_BACK,
            )
        data = response.data if response is not None else b""
        result.append(Exchange(e.address, e.request, e.response, request.data, data, e.rev, e.checks))
    return result


def _trailers(text: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value for key, colon, value in pairs if colon}
