"""Searching what exchanges changed: the lines between the trees before and after each, the newest exchange first.

One git process makes the patches of many exchanges, another searches their lines, so that a pattern means here what it
means for `git relay grep` elsewhere. Nothing is kept. Binary files, and those above LARGEST, have no lines.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gitrelay.git.faults import GitError
from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.history import batch, searching
from gitrelay.history.searching import Found, Line, Wanted
from gitrelay.ledger.ledger import Ledger
from gitrelay.provenance.lines import treediff
from gitrelay.provenance.lines.additions import unquoted
from gitrelay.provenance.lines.treediff import Pair

KINDS: Final = {"+": "added", "-": "removed", " ": "same"}  # sign -> kind of a line
LARGEST: Final = "4m"  # bytes of a file whose lines are searched, as git writes it
HITS_MAX: Final = 200  # lines of one exchange
_WINDOW: Final = 20_000  # characters of a line that are looked at for secrets
_LINE_MAX: Final = 2_000  # characters of a line that are told
_FEW: Final = 32  # exchanges that are looked at at first; then four times as many
_HUNK: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class Row(NamedTuple):
    """A line of a patch: its sign, the file, its number in the new file (in the old one, if it was removed)."""

    sign: str
    path: bytes
    number: int
    text: bytes
    hunk: int


@dataclass(frozen=True)
class Result:
    """`more`: there are further exchanges. `missing`: so many have no files in this clone.

    `cut` are the exchanges with more than HITS_MAX lines that match, and how many are not told.
    """

    found: Sequence[Found]
    more: bool
    missing: int
    cut: Mapping[str, int]


def search(ledger: Ledger, wanted: Wanted, most: int | None, around: int) -> Result:
    """The exchanges that added or removed a line with the pattern, each with those lines and `around` more.

    Raises UsageError for a bad pattern or an unknown session. `wanted.kinds` does not count.
    """
    searching.check_pattern(wanted.pattern)
    record = batch.read(ledger, [wanted.session] if wanted.session is not None else [])
    asked = [e for e in record.exchanges if e.response is not None and searching.fits(e, wanted)]
    asked.sort(key=lambda e: (e.request.time, e.address.session, e.address.id), reverse=True)
    pairs = {e.address: (e.request.tree or "", e.response.tree or "") for e in asked if e.response is not None}
    there = set(treediff.readable(ledger.repo, list(dict.fromkeys(p for p in pairs.values() if all(p)))))
    missing = sum(pair not in there for pair in pairs.values())
    changed = [e for e in asked if pairs[e.address] in there and pairs[e.address][0] != pairs[e.address][1]]
    found: list[Found] = []
    cut: dict[str, int] = {}
    at, size = 0, _FEW
    while True:  # with nothing to search the pattern is tried all the same
        part = changed[at : at + size]
        looked = treediff.read(
            ledger.repo,
            list(dict.fromkeys(pairs[e.address] for e in part)),
            lambda patch: list(rows(patch)),
            around=around,
            largest=LARGEST,
        )
        hits = _hits(ledger, looked, wanted)
        missing += sum(pairs[e.address] not in looked for e in part)
        for e in part:
            if places := hits.get(pairs[e.address]):
                found.append(Found(e, tuple(_lines(ledger, looked[pairs[e.address]], places[:HITS_MAX], around))))
                cut |= {str(e.address): len(places) - HITS_MAX} if len(places) > HITS_MAX else {}
        at, size = at + size, size * 4
        if at >= len(changed) or (most is not None and len(found) > most):
            break
    if most is None:
        return Result(found, False, missing, cut)
    return Result(found[:most], len(found) > most, missing, cut)


def rows(patch: bytes) -> Iterator[Row]:
    """The lines of a patch. Its hunks are counted, not searched for an end."""
    lines = patch.split(b"\n")
    at, hunk, old_path, path = 0, 0, b"", b""
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"--- "):
            old_path = unquoted(line[4:].removesuffix(b"\t"))[2:]
        elif line.startswith(b"+++ "):
            name = unquoted(line[4:].removesuffix(b"\t"))
            path = name[2:] if name.startswith(b"b/") else old_path
        elif (head := _HUNK.match(line)) is not None:
            old, new = int(head[1]), int(head[3])
            left = [1 if head[2] is None else int(head[2]), 1 if head[4] is None else int(head[4])]
            hunk += 1
            while (left[0] > 0 or left[1] > 0) and at < len(lines):
                sign, text = lines[at][:1], lines[at][1:]
                at += 1
                if sign == b"\\":
                    continue
                if sign == b"-":
                    yield Row("-", path, old, text, hunk)
                else:
                    yield Row("+" if sign == b"+" else " ", path, new, text, hunk)
                old, left[0] = (old, left[0]) if sign == b"+" else (old + 1, left[0] - 1)
                new, left[1] = (new, left[1]) if sign == b"-" else (new + 1, left[1] - 1)


def _hits(ledger: Ledger, rows: Mapping[Pair, Sequence[Row]], wanted: Wanted) -> dict[Pair, list[int]]:
    """pair -> the places of its rows that were added or removed and match."""
    places = [(pair, i) for pair, some in rows.items() for i, row in enumerate(some) if row.sign != " "]
    words = ["--fixed-strings" if wanted.fixed else "--extended-regexp", *(["-i"] if wanted.ignore_case else [])]
    plain = ["--no-index", "--text", "--no-color", "--no-column", "--line-number", "--null", "-h"]
    with tempfile.TemporaryDirectory(prefix="git-relay-") as folder:
        Path(folder, "lines").write_bytes(b"".join(rows[pair][i].text + b"\n" for pair, i in places))
        try:
            out = ledger.repo.run(
                "grep", *plain, *words, "-e", wanted.pattern, "--", "lines", place=Path(folder), ok=(0, 1)
            )
        except GitError as e:
            raise (searching.bad_pattern(e) or e) from None
    found: dict[Pair, list[int]] = {}
    for line in out.split(b"\n")[:-1]:
        pair, i = places[int(line.partition(b"\0")[0]) - 1]
        found.setdefault(pair, []).append(i)
    return found


def _lines(ledger: Ledger, rows: Sequence[Row], places: Sequence[int], around: int) -> Iterator[Line]:
    """The rows that match, with those near them in the same hunk; redacted, because files are recorded as they are."""
    hits = set(places)
    near = {i for hit in hits for i in range(max(0, hit - around), min(len(rows), hit + around + 1))}
    shown = sorted(i for i in near if i in hits or any(rows[i].hunk == rows[j].hunk for j in _beside(i, hits, around)))
    texts = [rows[i].text[: 4 * _WINDOW].decode("utf-8", "replace").removesuffix("\r")[:_WINDOW] for i in shown]
    for i, text in zip(shown, _redacted(ledger, texts), strict=True):
        row = rows[i]
        path = plain(row.path.decode("utf-8", "replace"))
        cut = text if len(text) <= _LINE_MAX else text[:_LINE_MAX] + "..."
        yield Line(path, KINDS[row.sign], row.number, cut, hit=i in hits)


def _beside(i: int, hits: set[int], around: int) -> list[int]:
    return [j for j in range(i - around, i + around + 1) if j in hits]


def _redacted(ledger: Ledger, texts: Sequence[str]) -> list[str]:
    """The lines without secrets; of one that goes over several of them no line is shown."""
    redact = ledger.redactor.redact
    together = redact("\n".join(texts))
    if not together.total:
        return list(texts)
    found = together.text.split("\n")
    return found if len(found) == len(texts) else ["[redacted]"] * len(texts)
