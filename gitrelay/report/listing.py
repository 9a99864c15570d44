"""What the index page knows of every exchange, as two compact JSON texts: rows to show, words to search. Pure.

Rows: {"agents": [name], "running": [address], "sessions": [[name, archived, fault, [exchange], needs, last, cost,
seconds]]}, sessions latest first. `needs` says why a session needs a person, as if nothing ran; `last` is when it last
said something, `cost` in US dollars, cost and seconds null if nothing tells. An exchange is
[id, from, to, status, verify, reason, asked, checks, first line of the task], agents as places in `agents`, `checks` is
0 for none, 1 if one failed, 2 if all passed, status as a place in STATUSES, verify in VERDICTS, `asked` in
seconds since the epoch.

Words: {"words": "a b c", "hits": "1.2 5 *"}: each different word of the messages, lower-cased and in
order, and for each the exchanges that hold it: their numbers in the order of the rows, each as its distance from
the one before, base 36; `*` where more than half of at least COMMON exchanges hold it. A word is what is
between blanks and punctuation, of WORD_MIN to WORD_MAX characters.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.protocol.question import NEEDS_INPUT
from gitrelay.protocol.record import Trailer
from gitrelay.report.turns import Conversation, Turn
from gitrelay.report.words import one_line, plain

STATUSES: Final = ("done", "error", "pending")
VERDICTS: Final = ("pass", "fail", "skip", "")
WORD_MIN: Final = 2
WORD_MAX: Final = 40
COMMON: Final = 200
TEXT_MAX: Final = 64 * 1024  # characters of a message whose words are kept
_WORD: Final = re.compile(r"\w+(?:[-.]\w+)*")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Row:
    """One exchange of the index."""

    id: str
    from_: str
    to: str
    status: str
    verify: str
    reason: str
    asked: int
    checks: int
    line: str
    words: frozenset[str]
    outdone: tuple[str, ...] = ()  # addresses of attempts, if it is a group in which another one was picked


@dataclass(frozen=True)
class Entry:
    """One session of the index. `cost` is in US dollars; it and `seconds` are None if no call tells."""

    name: str
    archived: bool
    fault: str
    last: int
    rows: tuple[Row, ...]
    cost: float | None = None
    seconds: float | None = None

    @property
    def question(self) -> Row | None:
        """The last exchange if its answer is a question that waits for an answer."""
        last = self.rows[-1] if self.rows and not self.archived else None
        return last if last and last.status == "error" and last.reason == NEEDS_INPUT else None


def entry(conversation: Conversation) -> Entry:
    """What the index keeps of a session."""
    rows = tuple(_row(turn) for turn in conversation.turns)
    c = conversation
    return Entry(c.name, c.archived, c.fault, c.last, rows, c.cost, c.seconds)


def _row(turn: Turn) -> Row:
    e = turn.exchange
    return Row(
        id=turn.id,
        from_=e.from_,
        to=e.to,
        status=e.status if e.status in STATUSES else "error",
        verify=e.verify if e.verify in VERDICTS else "",
        reason=e.reason or "",
        asked=e.request.time,
        checks=1 if e.failed_checks else 2 if e.checked else 0,
        line=one_line(turn.task, 160),
        words=words_of((turn.task, turn.body, *(run.command for run in turn.checks))),
        outdone=_outdone(turn),
    )


def _outdone(turn: Turn) -> tuple[str, ...]:
    trailers = turn.exchange.response.trailers if turn.exchange.response else {}
    picked = trailers.get(Trailer.PICKED, "").partition(" ")[0]
    attempts = trailers.get(Trailer.ATTEMPTS, "").split()
    return tuple(one for one in attempts if one != picked) if picked in attempts else ()


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """The words of some texts. `auth.py` and `jean-luc` are words, and so are their parts."""
    found: set[str] = set()
    for text in texts:
        found.update(_WORD.findall(plain(text[:TEXT_MAX]).lower()))
    # one string for all messages that hold the word: there are few words, and many messages
    return frozenset([sys.intern(word) for word in found if WORD_MIN <= len(word) <= WORD_MAX])


def latest_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda e: (-e.last, e.name))


def rows_json(needs: Sequence[tuple[Entry, str]], running: Iterable[str]) -> str:
    """The rows, for a data block of a page: safe between script tags."""
    agents: dict[str, int] = {}
    sessions = []
    for e, why in needs:
        rows = []
        for row in e.rows:
            who = [agents.setdefault(name, len(agents)) for name in (row.from_, row.to)]
            state = [STATUSES.index(row.status), VERDICTS.index(row.verify), row.reason]
            rows.append([row.id, *who, *state, row.asked, row.checks, row.line])
        amounts = [None if amount is None else round(amount, 4) for amount in (e.cost, e.seconds)]
        sessions.append([e.name, int(e.archived), e.fault, rows, why, e.last, *amounts])
    return embedded({"agents": list(agents), "running": sorted(running), "sessions": sessions})


def words_json(entries: Sequence[Entry]) -> str:
    """The words, for a data block of a page: safe between script tags."""
    holders: dict[str, list[int]] = {}
    number = 0
    for e in entries:
        for row in e.rows:
            for word in row.words:
                holders.setdefault(word, []).append(number)
            number += 1
    common = number // 2 if number >= COMMON else number
    words = sorted(holders)
    hits = ["*" if len(holders[word]) > common else _distances(holders[word]) for word in words]
    return embedded({"words": " ".join(words), "hits": " ".join(hits)})


def _distances(numbers: Sequence[int]) -> str:
    return ".".join(_base36(b - a) for a, b in zip([0, *numbers], numbers, strict=False))


def _base36(number: int) -> str:
    text = _DIGITS[number % 36]
    while number := number // 36:
        text = _DIGITS[number % 36] + text
    return text


def embedded(value: object) -> str:
    """JSON in which nothing can end the script element that it is in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
