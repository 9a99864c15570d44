"""Figures as charts: inline SVG whose colours are classes of style.css, each bar with its words for a pointer and a
screen reader. Pure.

Widths are parts of a hundred of what the page gives a chart, heights are pixels: on a phone a chart is narrower, and
its words are as large as elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from gitrelay.ground import duration
from gitrelay.history.figures import Figures
from gitrelay.report.words import one_line

DAYS_MAX: Final = 60  # columns; with more, the latest
ROWS_MAX: Final = 16
_ROW: Final = 44  # of a bar with its words above it
_BAR: Final = 14
_AXIS: Final = 7.0  # the part of the width that the numbers of the columns have
_HEIGHT: Final = 190  # of the columns

# (class, legend, how many calls) from the bottom, or the left, on
OUTCOMES: Final[tuple[tuple[str, str, Callable[[Figures], int]], ...]] = (
    ("good", "pass", lambda f: f.outcomes["pass"]),
    ("calm", "unverified", lambda f: f.outcomes["unverified"]),
    ("bad", "fail or check-failed", lambda f: f.outcomes["fail"] + f.outcomes["check-failed"]),
    ("warn", "error", lambda f: f.error),
    ("soft", "pending", lambda f: f.pending),
)
CLAIMS: Final[tuple[tuple[str, str, Callable[[Figures], int]], ...]] = (
    ("good", "the claim agreed", lambda f: f.checks.agreed),
    ("bad", "claimed pass, the check failed", lambda f: f.checks.claimed_pass_failed),
    ("warn", "claimed fail, the check passed", lambda f: f.checks.claimed_fail_passed),
    ("calm", "no claim, or no end", lambda f: f.checks.no_claim + f.checks.unknown),
)


@dataclass(frozen=True)
class Part:
    """One piece of a bar: its class, how much it stands for, and what it says."""

    tone: str
    value: float
    says: str


def outcomes_by_day(days: Sequence[Figures]) -> Markup:
    """Columns of how the calls of each day ended; days without calls have none."""
    shown = days[-DAYS_MAX:]
    most = max((f.calls for f in shown), default=0)
    scale = _scale(most)
    top = scale[-1]
    step = (100 - _AXIS) / max(len(shown), 10)
    pieces = [_grid(scale)]
    for at, f in enumerate(shown):
        x, y = _AXIS + at * step, float(_HEIGHT)
        for part in _parts(f, OUTCOMES):
            height = part.value / top * (_HEIGHT - 10)
            y -= height
            pieces.append(_rect(part, x, y, step * 0.85, height, f"{f.group}: "))
    every = max(1, -(-len(shown) // 10))
    for number, at in enumerate(range(0, len(shown), every)):
        kind = "other" if number % 2 else ""  # a phone has room for half of them
        pieces.append(_text(_AXIS + (at + 0.4) * step, _HEIGHT + 18, (shown[at].group or "")[5:], "middle", kind))
    return _svg("Calls by day", _HEIGHT + 26, pieces)


def outcomes_by_group(groups: Sequence[Figures]) -> Markup:
    """A bar for each group: how its calls ended, and how many there were."""
    return _bars("Outcomes", [(_name(f), _parts(f, OUTCOMES), f"{f.calls:,}") for f in groups[:ROWS_MAX]])


def claims_by_group(groups: Sequence[Figures]) -> Markup:
    """A bar for each group that has checks: what was claimed, and what the checks found."""
    checked = [f for f in groups if f.checks.checked][:ROWS_MAX]
    return _bars("Claims and checks", [(_name(f), _parts(f, CLAIMS), f"{f.checks.checked:,}") for f in checked])


def reasons(total: Figures) -> Markup:
    """A bar for each reason of an error."""
    rows = [
        (reason, [Part("warn", count, f"{reason}: {count:,}")], f"{count:,}") for reason, count in total.reasons.items()
    ]
    return _bars("Errors by reason", rows[:ROWS_MAX])


def durations_by_group(groups: Sequence[Figures]) -> Markup:
    """A bar for each group: half of its calls within the dark part, nine of ten within the whole."""
    rows = []
    for f in groups[:ROWS_MAX]:
        d = f.duration
        if d.p50 is not None and d.p90 is not None and d.p99 is not None:
            half = Part("accent", d.p50, f"half within {duration.render(d.p50)}")
            most = Part("soft", d.p90 - d.p50, f"nine of ten within {duration.render(d.p90)}")
            rows.append((_name(f), [half, most], f"p99 {duration.render(d.p99)}"))
    return _bars("Durations", rows)


def _name(f: Figures) -> str:
    return f.group or "not known"


def _parts(f: Figures, kinds: Sequence[tuple[str, str, Callable[[Figures], int]]]) -> list[Part]:
    counted = [(tone, says, count(f)) for tone, says, count in kinds]
    return [Part(tone, count, f"{count:,} {says}") for tone, says, count in counted if count > 0]


def _bars(title: str, rows: Sequence[tuple[str, Sequence[Part], str]]) -> Markup:
    longest = max((sum(part.value for part in parts) for _, parts, _ in rows), default=0) or 1
    pieces = []
    for at, (label, parts, value) in enumerate(rows):
        y, x = at * _ROW, 0.0
        pieces += [_text(0, y + 13, one_line(label, 24), kind="label"), _text(100, y + 13, value, "end")]
        for part in parts:
            width = part.value / longest * 100
            pieces.append(_rect(part, x, y + 19, width, _BAR, f"{one_line(label, 60)}: "))
            x += width
    return _svg(title, max(1, len(rows)) * _ROW, pieces)


def _rect(part: Part, x: float, y: float, width: float, height: float, before: str) -> Markup:
    return Markup(
        '<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"><title>{}</title></rect>'
    ).format(part.tone, x, y, max(width, 0.2), max(height, 0.8), before + part.says)


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> Markup:
    return Markup('<text class="{}" x="{:.2f}%" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


def _grid(scale: Sequence[int]) -> Markup:
    pieces = []
    for value in scale:
        y = _HEIGHT - value / scale[-1] * (_HEIGHT - 10)
        line = '<line class="grid" x1="{:.2f}%" x2="100%" y1="{:.1f}" y2="{:.1f}"/>'
        pieces.append(Markup(line).format(_AXIS - 0.5, y, y))
        pieces.append(_text(_AXIS - 1, y + 4, f"{value:,}", "end"))
    return Markup("").join(pieces)


def _svg(title: str, height: int, pieces: Sequence[Markup]) -> Markup:
    return Markup('<svg width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
        height, title, Markup("").join(pieces)
    )


def _scale(most: int) -> range:
    """From 0 to `most` or a little more, in at most five steps of 1, 2, 5, 10, 20, ...; its end is in it."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if most <= 5 * step:
                return range(0, max(-(-most // step), 1) * step + 1, step)
        size *= 10
