"""Private keys: from BEGIN to END, also if one of the two, or the line ends, are missing."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

from gitrelay.redact.span import Span

_KEY_MAX: Final = 64 * 1024  # characters of a private key; one of 16,384 bits has 12,700
_MARKER = (
    r"-{4,5} ?(BEGIN|END) [A-Za-z0-9 ]{0,40}?(?:PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V1) ?-{4,5}"
    r"|Private-Lines: ([0-9]{1,3})"
)
_LINE_END = r"\r?\n|(?:\\+r)?\\+n"  # as it is, or escaped in JSON
_LEAST_KEY: Final = 32  # characters of base64; the mention of a key has none


@functools.cache
def _marker() -> re.Pattern[str]:
    return re.compile(_MARKER)


@functools.cache
def _line_end() -> re.Pattern[str]:
    return re.compile(_LINE_END)


@functools.cache
def _base64() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z0-9+/=_-]+")


def find(text: str) -> Iterator[Span]:
    """Keys from BEGIN to END; if one of the two is missing, the lines of the key that are there; keys of PuTTY."""
    if not any(word in text for word in ("PRIVATE KEY", "OpenVPN Static key", "Private-Lines: ")):
        return
    marks = list(_marker().finditer(text))
    done = 0  # where the last key ended
    for i, mark in enumerate(marks):
        if mark.start() < done:
            continue
        limit = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        if mark[1] == "END":
            start = _key_start(text, mark.start(), max(done, marks[i - 1].end() if i else 0))
            if start is not None:
                done = mark.end()
                yield Span(start, done, "private-key", start, done)
            continue
        size, end, whole = _key_body(text, mark.end(), limit)
        if size < _LEAST_KEY:
            continue
        start = mark.start()
        if mark[2]:  # PuTTY's: the count of lines stays, as the line it is
            line_end = _line_end().match(text, mark.end())
            start = line_end.end() if line_end else mark.end()
        elif whole and i + 1 < len(marks) and marks[i + 1][1] == "END":
            end = marks[i + 1].end()
        done = end
        yield Span(start, end, "private-key", mark.start(), end)


def _key_body(text: str, at: int, limit: int) -> tuple[int, int, bool]:
    """(number of base64 characters, end of their last line, whether nothing else comes before `limit`)."""
    limit = min(limit, at + _KEY_MAX)
    size, end = 0, at
    while at < limit:
        line_end = _line_end().search(text, at, limit)
        stop = line_end.start() if line_end else limit
        found = _key_line(text[at:stop])
        if found < 0:
            begun = re.compile(r"[ \t]*[A-Za-z0-9+/=]{16,}").match(text, at, stop)  # cut off in the middle of a line
            return (size + begun.end() - at, begun.end(), False) if begun and size else (size, end, False)
        if found:
            size, end = size + found, stop
        at = line_end.end() if line_end else limit
    return size, end, True


def _key_start(text: str, end: int, floor: int) -> int | None:
    """Where the base64 lines before an END without a BEGIN begin; None if they are no key."""
    floor = max(floor, end - _KEY_MAX)
    pieces = []
    at = floor
    for match in _line_end().finditer(text, floor, end):
        pieces.append((at, match.start()))
        at = match.end()
    size, start = 0, None
    for low, high in reversed(pieces):
        found = _key_line(text[low:high])
        if found < 16 and (size or found < 0):
            break
        size += found
        start = low + len(text[low:high]) - len(text[low:high].lstrip(" \t"))
    return start if size >= _LEAST_KEY else None


def _key_line(line: str) -> int:
    """The number of base64 characters in a line of a key; 0 for a blank line or a header, -1 for any other line."""
    line = line.strip(" \t\r\"',;|>#*\\+")
    if not line:
        return 0
    if len(line) <= 128 and _base64().fullmatch(line):
        return len(line) if len(line) >= 16 or re.search("[0-9+/=]", line) else -1
    if re.match(r"[A-Z][A-Za-z0-9-]{2,30}: ", line):
        return 0
    words = line.split()
    if len(words) > 1 and len(words[-1]) >= 24 and _base64().fullmatch(words[-1]):
        return len(words[-1])  # behind a log's time stamp, or a line number
    if all(_base64().fullmatch(word) for word in words) and max(map(len, words)) >= _LEAST_KEY:
        return len(line)  # a key in one line
    return -1


def open_key(text: str) -> int | None:
    """Where the private key begins in whose middle `text` ends; None if it ends in no key."""
    last = None
    for word in ("BEGIN ", "Private-Lines: "):
        at = text.rfind(word)
        if at >= 0 and len(text) - at < _KEY_MAX:
            for mark in _marker().finditer(text, max(0, at - 6)):
                last = mark if last is None or mark.start() > last.start() else last
    if last is None or last[1] == "END":
        return None
    if last[2]:
        lines = len(_line_end().findall(text, last.end()))
        return last.start() if lines <= int(last[2]) else None
    _, _, whole = _key_body(text, last.end(), len(text))
    return last.start() if whole else None
