"""A loop as git has it: its rounds, told from the exchanges of its session and from the keys of their requests."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from gitrelay.errors import IntegrityError, RelayError
from gitrelay.history import exchanges, findings
from gitrelay.history.exchange import Check, Exchange
from gitrelay.history.rounds import Call, End, Round, Terms
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.frontmatter import BadMessage, cut_header
from gitrelay.protocol.message import check_file, request_file, task_of
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Trailer

CLOSER: Final = "loop"  # who the last exchange of a loop is with: it says how the loop ended
_KEY: Final = re.compile(r"loop (\S+) r(\d{1,3}) (build|review) (\d{1,3})")
_ANSWER: Final = re.compile(r"answer (\S+)")
_FENCED: Final = re.compile(r"^(`{3,})console\n\$ [^\n]*\n(.*?)^\1\n", re.MULTILINE | re.DOTALL)
_DIFF_MAX: Final = 4 * 1024 * 1024  # bytes of a diff that are looked through for changed lines


def key_of(first: Address, round_: int, kind: str, attempt: int) -> str:
    """The key of a call of the loop that begins with the request `first`: a paid call is never made twice."""
    return f"loop {first} r{round_} {kind} {attempt}"


def review_session(session: str, terms: Terms) -> str:
    """Where the reviews of a loop are: in a session of their own, or in the workspace where the work is done."""
    return session if terms.isolate else f"{session}-review"


@dataclass(frozen=True)
class Loop:
    """A loop that was begun. `exchanges` are all its calls, by address; `closing` its last exchange, once it ended."""

    session: str
    first: Exchange
    terms: Terms
    task: str
    rounds: tuple[Round, ...]
    exchanges: dict[str, Exchange]
    closing: Exchange | None = None

    @property
    def end(self) -> End | None:
        word = self.closing.response.trailers.get(Trailer.LOOP) if self.closing and self.closing.response else None
        return End(word) if word in tuple(End) else None


def read(ledger: Ledger, session: str) -> Loop | None:
    """The last loop of a session, None if there is none. Raises UsageError for an unknown session."""
    turns = exchanges.exchanges(ledger, session, bodies=True)
    at = next((i for i in reversed(range(len(turns))) if _terms(turns[i]) is not None), None)
    return None if at is None else _read(ledger, turns[at:])


def among(ledger: Ledger, turns: Sequence[Exchange]) -> list[Loop]:
    """Every loop of a session with these `turns`, which have their bodies; no git process if there is none."""
    starts = [i for i, turn in enumerate(turns) if _terms(turn) is not None]
    return [_read(ledger, turns[a:b]) for a, b in pairwise([*starts, len(turns)])]


def _read(ledger: Ledger, turns: Sequence[Exchange]) -> Loop:
    """The loop that begins with the first of these turns. Raises IntegrityError if one of its messages is none."""
    first = turns[0]
    session, terms = first.address.session, _terms(first)
    assert terms is not None
    try:
        task = task_of(first.request_data)
    except BadMessage as e:
        raise IntegrityError(f"{first.address}: {request_file(first.address.id)}: {e}") from e
    reviews: list[Exchange] = []
    if terms.review is not None and not terms.isolate:
        with contextlib.suppress(RelayError):
            reviews = exchanges.exchanges(ledger, review_session(session, terms), bodies=True)
    its = {str(e.address): e for e in (*turns, *reviews)}
    placed = _placed(first.address, list(its.values()))
    closing = next((e for e in turns if e.to == CLOSER and e.response is not None), None)
    rounds: list[Round] = []
    for number in sorted({n for n, _ in placed.values()}):
        calls = [(a, kind) for a, (n, kind) in placed.items() if n == number]
        builds = tuple(_call(ledger, its[a], ()) for a, kind in calls if kind == "build")
        known = [f.id for r in rounds for c in r.reviews for f in c.findings]
        done = tuple(_call(ledger, its[a], known, review=True) for a, kind in calls if kind == "review")
        one = Round(number, builds, done)
        rounds.append(replace(one, changed=_changed(ledger, one)) if number > 1 and done else one)
    kept = {a: e for a, e in its.items() if a in placed}
    return Loop(session, first, terms, task, tuple(rounds), kept, closing)


def place_of(e: Exchange) -> tuple[str, int, str] | None:
    """(address of the loop's first request, round, `build` or `review`) if `e` is a call of a loop, else None."""
    key = _KEY.fullmatch(e.request.key or "")
    return (key[1], int(key[2]), key[3]) if key is not None else None


def _terms(e: Exchange) -> Terms | None:
    text = e.request.trailers.get(Trailer.LOOP, "")
    return Terms.from_json(text) if text else None


def _placed(first: Address, turns: Sequence[Exchange]) -> dict[str, tuple[int, str]]:
    """address -> (round, kind) of each call of the loop; the answer to a question belongs where it was asked."""
    found: dict[str, tuple[int, str]] = {}
    for e in turns:
        place = place_of(e)
        answers = _ANSWER.fullmatch(e.request.key or "")
        if place is not None and place[0] == str(first):
            found[str(e.address)] = place[1:]
        elif answers is not None and answers[1] in found:
            found[str(e.address)] = found[answers[1]]
    return found


def _call(ledger: Ledger, e: Exchange, known: Sequence[str], *, review: bool = False) -> Call:
    seen: tuple[findings.Finding, ...] = ()
    if review and e.status == "done" and e.answer is not None:
        seen = findings.of_review(e.answer.body, e.verify or "skip", known)
    return Call(
        address=str(e.address),
        status=e.status,
        verify=e.verify or "skip",
        reason=(e.reason or "") if e.status == "error" else "",
        asks=e.asks_back,
        before=e.request.tree or "",
        after=(e.response.tree or "") if e.response else "",
        checks=_checks(ledger, e),
        lost_checks=sum(check.word == "lost" for check in e.checks),
        findings=seen,
    )


def _checks(ledger: Ledger, e: Exchange) -> dict[str, tuple[str, str]]:
    """command -> (word, what it printed without times) of the last run of each check that counts."""
    files = [f"{c.commit.oid}:{check_file(e.address.id, i)}" for i, c in enumerate(e.checks, 1)]
    found: dict[str, tuple[str, str]] = {}
    for check, blob in zip(e.checks, ledger.repo.objects(files), strict=True):
        if check.word != "lost" or check.command not in found:
            found[check.command] = (check.word, _printed(check, blob.data if blob is not None else b""))
    return found


def _printed(check: Check, data: bytes) -> str:
    if check.word == "pass":
        return ""
    try:
        body = cut_header(data)[1]
    except BadMessage:
        return ""
    fenced = _FENCED.search(body)
    return findings.normalised(fenced[2]) if fenced else ""


def _changed(ledger: Ledger, one: Round) -> findings.Changed | None:
    if not one.before or not one.after:
        return None
    return findings.parse_changed(diff(ledger, one.before, one.after, "-U0")[0])


def diff(ledger: Ledger, before: str, after: str, *words: str, limit: int = _DIFF_MAX) -> tuple[str, bool]:
    """(the diff of two trees of files, whether it was cut at `limit` bytes); '' if they are not here."""
    plain = ("--no-ext-diff", "--no-textconv", "--no-renames", "--no-prefix", "--no-color")
    try:
        data = ledger.repo.run("diff", *plain, *words, before, after, "--")
    except RelayError:
        return "", False
    return data[:limit].decode("utf-8", "replace"), len(data) > limit
