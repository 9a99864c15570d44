"""Durations as people write them: `90s`, `15m`, `2h`, `1d`, `1h30m`; a bare number is seconds."""

from __future__ import annotations

import contextlib
import math
import re
from datetime import datetime, timedelta

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_LONGEST = 366 * 86400.0


def parse(text: str, what: str) -> float:
    """Seconds, greater than zero. Raises UsageError that quotes `text`; `what` names the option."""
    lowered = text.strip().lower()
    if re.fullmatch(r"\d+(?:\.\d+)?", lowered):
        seconds = float(lowered)
    elif _WHOLE.fullmatch(lowered):
        seconds = math.fsum(float(n) * _UNITS[unit] for n, unit in _PART.findall(lowered))
    else:
        seconds = -1.0
    if not 0 < seconds <= _LONGEST:
        raise UsageError(
            f"{what} {quote(text)} is not a duration",
            hint="write it as 90s, 15m, 2h or 1h30m",
            code=Code.BAD_DURATION,
        )
    return seconds


def parse_limit(text: str, what: str) -> float | None:
    """As `parse`; `none` (or 0) is no limit."""
    return None if text.strip().lower() in ("none", "0", "off") else parse(text, what)


def render(seconds: float) -> str:
    """`0.4s`, `48s`, `12m`, `3h`, `2d`: one unit, for a table."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


_AGES = (
    (365 * 86400.0, "year"),
    (30 * 86400.0, "month"),
    (7 * 86400.0, "week"),
    (86400.0, "day"),
    (3600.0, "hour"),
    (60.0, "minute"),
    (1.0, "second"),
)


def ago(seconds: float) -> str:
    """An age in words: `3 minutes ago`, `2 days ago`; `just now` below two seconds, and for a clock that is behind.

    As git's relative dates, a unit is used from two of it on.
    """
    for size, unit in _AGES:
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}s ago"
    return "just now"


def since(text: str, what: str, now: float) -> float:
    """The moment that `--since` means, in seconds since the epoch: a duration back from `now`, or a local date.

    A date is `2026-11-20`, `2026-11-20 14:30`, `today` or `yesterday`. Raises UsageError that quotes `text`.
    """
    words = text.strip().lower()
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if words in ("today", "yesterday"):
        return (today - timedelta(days=words == "yesterday")).timestamp()
    if re.fullmatch(r"\d{4}-\d\d-\d\d([t ]\d\d:\d\d(:\d\d)?)?", words):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return datetime.fromisoformat(words).timestamp()
    weeks = re.fullmatch(r"(\d{1,2}) ?w", words)
    try:
        return now - (int(weeks[1]) * 7 * 86400.0 if weeks else parse(words, what))
    except UsageError as e:
        hint = "write it as 2h, 7d, today, yesterday or 2026-11-20"
        raise UsageError(f"{what} {quote(text)} is neither a duration nor a date", hint=hint, code=e.code) from None
