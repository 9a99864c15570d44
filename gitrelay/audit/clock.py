"""What the dates of a session say about each other. Pure, no I/O.

A date is what the clock of the machine that wrote says. Clocks are set right, machines differ, so little steps are a
note; what a clock in use does not do is a finding. Times that are longer than a call took are none: a machine may
sleep, and an answer may be recorded long after it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gitrelay.audit.steps import Commit
from gitrelay.protocol.record import Trailer

STEP: Final = 300  # seconds within an exchange; Kerberos (RFC 4120) takes clocks for right that differ by 5 minutes
SKEW: Final = 3600  # seconds between exchanges, which may be written on machines whose clocks differ, and to the future
_NOTED: Final = 2  # seconds; a date has whole ones

_Told = tuple[str, str, Commit]  # code, message, the commit


def judged(commits: Sequence[Commit], now: float) -> Iterator[_Told]:
    """What is wrong with the dates of a session's commits, the root first; `now` is in seconds since the epoch."""
    asked: dict[str, int] = {}
    answered: dict[str, int] = {}
    before: Commit | None = None
    stepped: list[tuple[int, Commit]] = []
    for commit in commits:
        if commit.authored != commit.time:
            yield "dates", "its two dates differ: it was written again, as 'git commit --amend' does", commit
        ahead = commit.time - now
        if ahead > SKEW:
            yield "dates", f"it is dated {_span(ahead)} in the future", commit
        elif ahead > STEP:
            stepped.append((int(ahead), commit))
        id_ = commit.trailers.get(Trailer.ID, "")
        if before is not None:
            back = before.time - commit.time
            if back > (STEP if before.trailers.get(Trailer.ID) == id_ else SKEW):
                yield "dates", f"it is dated {_span(back)} before the commit that it follows", commit
            elif back >= _NOTED:
                stepped.append((back, commit))
        if commit.subject.startswith("req "):
            asked[id_] = commit.time
        elif commit.subject.startswith("res "):
            answered[id_] = commit.time
        begin = asked.get(id_) if commit.subject.startswith("res ") else None
        took = _seconds(commit.trailers.get(Trailer.DURATION, ""))
        if begin is not None and took is not None and Trailer.WORKER not in commit.trailers:
            missing = took - (commit.time - begin) - 1
            if missing > STEP:
                yield "dates", f"Relay-Duration is {took:.0f} s, and it is dated {commit.time - begin} s later", commit
            elif missing >= _NOTED:
                stepped.append((int(missing), commit))
        before = commit
    if stepped:
        most, commit = max(stepped, key=lambda one: one[0])
        words = f"dates are off by up to {_span(most)}, {len(stepped)} times: a clock was set, or was wrong"
        yield "clock", words, commit


def _seconds(text: str) -> float | None:
    try:
        return float(text) if len(text) < 20 else None
    except ValueError:
        return None


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
