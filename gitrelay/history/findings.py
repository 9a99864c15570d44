"""What a reviewer found: lines of its answer with a severity, a place and an id. Pure.

    - [major] #1f3a9c src/store.py:41 the lock is given back before the file is synced

An id that the reviewer repeats tells that it means the same finding; without one, the same place and words do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SEVERITIES: Final = ("blocker", "major", "minor")
MOST: Final = 200  # findings of one review
_LINE: Final = re.compile(
    r"^[ \t]*(?:[-*+]|\d{1,3}[.)])?[ \t]*\**\[(blocker|major|minor)\]\**[ \t]*(?:\(?#([0-9a-f]{6})\)?[ \t:]*)?(.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_PLACE: Final = re.compile(
    r"^`?([^\s`:]+(?=:\d)|[^\s`:]+\.[\w.-]+|[^\s`:]*/[^\s`:]+)(?::(\d{1,7}))?(?:[-:]\d+)?`?[:,]?[ \t]+(.*)$"
)

Changed = Mapping[str, Sequence[tuple[int, int]]]  # path -> first and last line of each part that was changed


@dataclass(frozen=True)
class Finding:
    """`path` is '' and `line` 0 if it names no place."""

    id: str
    severity: str
    path: str
    line: int
    text: str

    def shown(self) -> str:
        place = f"{self.path}:{self.line} " if self.line else f"{self.path} " if self.path else ""
        return f"- [{self.severity}] #{self.id} {place}{self.text}"


def parse(body: str, known: Sequence[str] = ()) -> tuple[Finding, ...]:
    """The findings in a review's answer. `known` are the ids that the reviewer was told of; others are made up."""
    found: dict[str, Finding] = {}
    for line in _LINE.finditer(body):
        severity, id_, rest = line[1].lower(), line[2], line[3].strip()
        place = _PLACE.match(rest)
        path, number, text = (place[1], int(place[2] or 0), place[3]) if place else ("", 0, rest)
        own = id_ if id_ in known else _id_of(path, text)
        found.setdefault(own, Finding(own, severity, path, number, text))
        if len(found) == MOST:
            break
    return tuple(found.values())


def of_review(body: str, verify: str, known: Sequence[str] = ()) -> tuple[Finding, ...]:
    """The findings of a review; one that fails and lists none is one blocker, its first words."""
    found = parse(body, known)
    if found or verify != "fail":
        return found
    first = next((line.strip() for line in body.splitlines() if line.strip()), "it failed")
    return (Finding(_id_of("", first), "blocker", "", 0, first[:300]),)


def _id_of(path: str, text: str) -> str:
    words = re.sub(r"[\d\W_]+", " ", text.lower()).split()  # a line number in the words may move
    return hashlib.sha256(f"{path}\0{' '.join(words)}".encode()).hexdigest()[:6]


def blocking(found: Sequence[Finding], earlier: Sequence[str], changed: Changed | None) -> tuple[Finding, ...]:
    """The findings that begin another round. Minor ones never do.

    `changed` is what the last round changed, None in the first round: from then on a finding blocks if it is on a
    changed line, if it is still open (`earlier` are the ids of those that blocked before), or if it names no place.
    """
    serious = [one for one in found if one.severity != "minor"]
    if changed is None:
        return tuple(serious)
    return tuple(one for one in serious if one.id in earlier or not one.path or _is_on(one, changed))


def _is_on(one: Finding, changed: Changed) -> bool:
    path = one.path.removeprefix("./")
    if path not in changed:
        return False
    return one.line == 0 or any(first <= one.line <= last for first, last in changed[path])


def parse_changed(diff: str) -> dict[str, list[tuple[int, int]]]:
    """What a `git diff -U0 --no-prefix` changed, in lines of the new files; a deletion counts for those around it."""
    found: dict[str, list[tuple[int, int]]] = {}
    path = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            path = line[4:].rstrip("\t").strip('"')
            found.setdefault(path, [])
        elif line.startswith("--- "):
            continue
        elif hunk := re.match(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(path, []).append((first, first + max(count, 1) - (0 if count == 0 else 1)))
    return found


_NOISE: Final = (
    (re.compile(r"0x[0-9a-fA-F]+"), "0x"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?"), "TIME"),
    (re.compile(r"\d+(?:[.,]\d+)? ?(?:ms|s|sec|secs|seconds|m|min|minutes)\b"), "SPAN"),
    (re.compile(r"\b(?:pid|PID)[ =:]*\d+"), "PID"),
    (re.compile(r"/tmp/[\w./-]+"), "/tmp"),
)


def normalised(output: str) -> str:
    """What a check printed without times and addresses, so that two runs of the same failure are the same."""
    for pattern, word in _NOISE:
        output = pattern.sub(word, output)
    return " ".join(output.split())
