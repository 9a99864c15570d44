"""Reading the ledger: exchanges, sessions, transcripts. From git alone, in batches, never from a worktree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitrelay import names
from gitrelay.checkresult import parse_trailer
from gitrelay.errors import OK, PENDING, VERIFY_FAILED, IntegrityError, UsageError, exit_code_of
from gitrelay.gitcmd import BRING_BACK, GitError
from gitrelay.ledger import ARCHIVE, BRANCHES, Ledger
from gitrelay.message import BadMessage, Response, parse_response, request_file, response_file
from gitrelay.names import Address
from gitrelay.snapshot import CODE

_TRAILERS = "%(trailers:only=true,unfold=true)"
_MISSING = "unknown-session"


@dataclass(frozen=True)
class Commit:
    """One commit of a session. `time` is the committer's, seconds since the epoch."""

    oid: str
    time: int
    subject: str
    trailers: Mapping[str, str]


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
    """Every session, the one that spoke last first; one git process however many there are."""
    format_ = "%(refname)%00%(committerdate:unix)%00%(contents:subject)%00%(contents:trailers:only,unfold)"
    found = []
    for ref, time, subject, trailer_text in ledger.repo.each_ref(format_, BRANCHES, ARCHIVE):
        archived = ref.startswith(ARCHIVE)
        name = ref.removeprefix(ARCHIVE if archived else BRANCHES)
        trailers = _trailers(trailer_text)
        id_ = trailers.get("Relay-Id", "")
        turns = int(id_) if names.is_turn(id_) else 1 if id_ else 0
        kind = subject.partition(" ")[0]
        if kind == "chk":  # the last word is a check's; who asked whom stands further back
            found.append(_checked(ledger, name, archived, int(time or 0), subject))
            continue
        asking = kind == "req"
        speaker, listener = trailers.get("Relay-From", ""), trailers.get("Relay-To", "")
        found.append(
            SessionSummary(
                name=name,
                archived=archived,
                turns=turns,
                from_=speaker if asking else listener,
                to=listener if asking else speaker,
                status="pending" if asking else trailers.get("Relay-Status", "open" if kind == "open" else "unknown"),
                verify=trailers.get("Relay-Verify"),
                reason=trailers.get("Relay-Reason"),
                last=int(time or 0),
                subject=subject,
            )
        )
    return sorted(found, key=lambda s: (-s.last, s.name))


def _checked(ledger: Ledger, name: str, archived: bool, time: int, subject: str) -> SessionSummary:
    last = exchanges(ledger, name)[-1]
    verify = "fail" if last.failed_checks else last.verify
    turns = int(last.address.id) if names.is_turn(last.address.id) else 1
    return SessionSummary(name, archived, turns, last.from_, last.to, last.status, verify, last.reason, time, subject)


def exchanges(ledger: Ledger, session: str, *, bodies: bool = False) -> list[Exchange]:
    """Every exchange of a session in turn order. Raises UsageError for an unknown session."""
    names.check_session(session)
    rev = BRANCHES + session
    rows = _rows(ledger, rev)
    if rows is None:
        rev = ARCHIVE + session
        rows = _rows(ledger, rev)
    if rows is None:
        raise UsageError(
            f"there is no session {names.quote(session)}",
            hint="'git relay ls' lists the sessions",
            code=_MISSING,
        )
    found: dict[str, Exchange] = {}
    for oid, time, subject, trailer_text in rows:
        commit = Commit(oid, int(time), subject, _trailers(trailer_text))
        id_ = commit.trailers.get("Relay-Id", "")
        if subject.startswith("req ") and names.is_id(id_) and id_ not in found:
            found[id_] = Exchange(Address(session, id_), commit, None, rev=rev)
        elif subject.startswith("res ") and id_ in found and found[id_].response is None:
            found[id_] = replace(found[id_], response=commit)
        elif subject.startswith("chk ") and id_ in found:
            check = parse_trailer(commit.trailers.get("Relay-Check", ""))
            if check is not None:
                checks = (*found[id_].checks, Check(check[1], check[0], commit))
                found[id_] = replace(found[id_], checks=checks)
    result = list(found.values())
    return with_bodies(ledger, result) if bodies else result


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
        result.append(replace(e, request_data=request.data, response_data=data))
    return result


def _rows(ledger: Ledger, rev: str) -> list[list[str]] | None:
    try:
        return list(ledger.repo.log(rev, f"%H%x00%ct%x00%s%x00{_TRAILERS}"))
    except GitError:
        if ledger.repo.ref(rev) is None:
            return None
        raise


def _trailers(text: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value for key, colon, value in pairs if colon}
