"""The list of sessions, read from the last commit of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.history import commits
from gitrelay.history.exchanges import of_line
from gitrelay.history.outcome import outcome_of
from gitrelay.ledger import roots
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.worktree import folder_of
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, Commit, name_of, parse, parse_raw, remote_of
from gitrelay.protocol.words import Verify

DAMAGED: Final = "damaged"  # the status of a session whose last commits cannot be read
_LOOK_BACK: Final = 5  # commits; an answer, its request and three checks are told from the last commit and these


@dataclass(frozen=True)
class SessionSummary:
    """A session as `ls` shows it, read from its last commit, and from a few more if that is a check's.

    `verify` is what the peer claims, `fail` if a check failed; `last` is the time of the last commit, in seconds
    since the epoch. `remote` has it, and this repository only what git fetched; '' for a session of its own.
    """

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
    checked: bool = False
    check_failed: bool = False
    remote: str = ""

    @property
    def outcome(self) -> str:
        """How its last exchange ended (see `history.outcome`); `open`, DAMAGED or `unknown` as `status` has them."""
        return outcome_of(self.status, self.verify, self.reason, checked=self.checked, check_failed=self.check_failed)


def sessions(ledger: Ledger) -> list[SessionSummary]:
    """Every session, the one that spoke last first; three git processes at most, however many there are.

    The status of one that cannot be read is DAMAGED.
    """
    found: list[SessionSummary] = []
    checked: dict[str, str] = {}
    there: set[str] = set()
    for ref, oid, time_, text in _tips(ledger, found):  # those of remotes come last
        name, remote = name_of(ref), remote_of(ref)
        if not names.is_session(name) or (remote and name in there):
            continue
        tip = parse(oid, time_, text)
        if "Relay-" not in text and not ref.startswith(ARCHIVE) and not roots.begins(ledger.repo, oid):
            continue  # somebody else's branch
        there.add(name)
        if tip.kind in ("chk", "apl"):  # the exchange's status is in an earlier commit
            checked[ref] = oid
            continue
        asking = tip.kind == "req"
        speaker, listener = tip.from_ or "", tip.to or ""
        found.append(
            SessionSummary(
                name=name,
                archived=ref.startswith(ARCHIVE),
                turns=_turns(tip.id or ""),
                from_=speaker if asking else listener,
                to=listener if asking else speaker,
                status="pending" if asking else tip.status or ("open" if tip.kind == "open" else "unknown"),
                verify=tip.verify,
                reason=tip.reason,
                last=tip.time,
                subject=tip.subject,
                remote=remote,
            )
        )

    def checks_of(refs: Sequence[str]) -> dict[str, SessionSummary]:
        ends = _ends(ledger, [checked[ref] for ref in refs])
        return {ref: _checked(ref, line) for ref, line in zip(refs, ends, strict=True)}

    summaries, damaged = commits.by_halves(list(checked), checks_of)
    found += [*summaries.values(), *map(_damaged, damaged)]
    return sorted(found, key=lambda s: (-s.last, s.name))


def _tips(ledger: Ledger, unreadable: list[SessionSummary]) -> list[list[str]]:
    """Ref, id, time and message of each session's last commit; those that are damaged go to `unreadable`."""
    fields = ("refname", "objectname", "committerdate:unix", "contents")
    format_ = "%00".join(f"%({field_})" for field_ in fields)
    try:
        return ledger.repo.each_ref(format_, BRANCHES, ARCHIVE, TRACKED)
    except GitError:
        refs = [row[0] for row in ledger.repo.each_ref("%(refname)", BRANCHES, ARCHIVE, TRACKED)]
    rows, damaged = commits.by_halves(
        [ref for ref in refs if names.is_session(name_of(ref))],
        lambda part: {row[0]: row for row in ledger.repo.each_ref(format_, *part)},
    )
    unreadable += map(_damaged, damaged)
    return list(rows.values())


def _damaged(ref: str) -> SessionSummary:
    name, archived, remote = name_of(ref), ref.startswith(ARCHIVE), remote_of(ref)
    return SessionSummary(name, archived, 0, "", "", DAMAGED, None, None, 0, "", remote=remote)


def _turns(id_: str) -> int:
    return int(id_) if names.is_turn(id_) else 1 if id_ else 0


def _ends(ledger: Ledger, tips: Sequence[str]) -> list[list[Commit]]:
    """The end of each line, from its last request on at least; one git process for all, two where many checks ran."""
    wanted = [f"{tip}~{back}" for tip in tips for back in range(_LOOK_BACK - 1, -1, -1)]
    objects = ledger.repo.objects(wanted)
    read = [parse_raw(o.oid, o.data) if o is not None and o.kind == "commit" else None for o in objects]
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
    name, archived, tip, remote = name_of(ref), ref.startswith(ARCHIVE), line[-1], remote_of(ref)
    found = of_line(name, ref, line)
    if not found:
        return SessionSummary(name, archived, 0, "", "", "unknown", None, None, tip.time, tip.subject, remote=remote)
    last = found[-1]
    return SessionSummary(
        name=name,
        archived=archived,
        turns=_turns(last.address.id),
        from_=last.from_,
        to=last.to,
        status=last.status,
        verify=Verify.FAIL if last.failed_checks else last.verify,
        reason=last.reason,
        last=tip.time,
        subject=tip.subject,
        checked=last.checked,
        check_failed=bool(last.failed_checks),
        remote=remote,
    )


def newer_elsewhere(ledger: Ledger) -> dict[str, list[str]]:
    """remote -> the sessions of this repository of which git has fetched more than is here; two git processes."""
    here: dict[str, str] = {}
    there: list[tuple[str, str, str]] = []
    for ref, oid in ledger.repo.each_ref("%(refname)%00%(objectname)", BRANCHES, ARCHIVE, TRACKED):
        name = name_of(ref)
        if not remote_of(ref):
            here.setdefault(name, oid)
        elif name in here and here[name] != oid:
            there.append((remote_of(ref), name, oid))
    if not there:
        return {}
    words = "".join(f"{oid}\n" for *_, oid in there) + "".join(f"^{here[name]}\n" for _, name, _ in there)
    try:
        new = set(ledger.repo.run("rev-list", "--stdin", stdin=words.encode()).decode().split())
    except GitError:
        return {}
    found: dict[str, list[str]] = {}
    for remote, name, oid in there:
        if oid in new and names.is_session(name):
            found.setdefault(remote, []).append(name)
    return found


def idle_sessions(ledger: Ledger, seconds: float) -> list[str]:
    """Sessions with a worktree here whose last commit is older than `seconds` and that wait for nothing."""
    return [name for name in finished_sessions(ledger, seconds) if folder_of(ledger.repo, name).exists()]


def finished_sessions(ledger: Ledger, seconds: float, *, done: bool = False) -> list[str]:
    """Sessions, not archived, whose last commit is older than `seconds` and that wait for nothing.

    With `done`, only those whose last answer has that status.
    """
    now = time.time()
    return [
        s.name
        for s in sessions(ledger)
        if not s.archived
        and not s.remote
        and s.status not in ("pending", DAMAGED)
        and now - s.last >= seconds
        and (s.status == "done" or not done)
    ]
