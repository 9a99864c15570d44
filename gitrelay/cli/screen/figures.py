"""Figures as text: rows with small bars and tables on a terminal, plain columns of bare numbers on a pipe."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import click

from gitrelay.cli.output import safe
from gitrelay.cli.table import columns
from gitrelay.ground import duration
from gitrelay.history.figures import Amount, Figures

_BAR: Final = 40  # cells at most
_LEAST_BAR: Final = 6  # a shorter one says nothing
_SMALL_BAR: Final = 12  # what a table keeps free for one
_WIDE: Final = 60  # on a narrower terminal figures are worth more than bars
_NAME: Final = 32  # characters of a group's name on a terminal
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class _Row:
    """A figure: `key` on a pipe, `label` on a terminal; `value` bare, `shown` for people; of how many calls.

    `part` is the length of its bar, 0 to 1, None if it has none; `per_cent`: that is also its share; `beside`
    are the words that are on a terminal instead. `key` is '' for a heading, which only a terminal shows.
    """

    key: str
    label: str
    value: str
    shown: str
    of: int | None = None
    part: float | None = None
    per_cent: bool = True
    beside: str = ""
    colour: str | None = None


# -- all together -------------------------------------------------------------------------------------


def overview(total: Figures) -> str:
    """One group's figures, a line each."""
    rows = [*_outcomes(total), *_claims(total), *_durations(total), *_amounts(total)]
    if not sys.stdout.isatty():
        plain = [[r.key, r.value, "" if r.of is None else str(r.of)] for r in rows if r.key]
        return columns(["FIGURE", "VALUE", "OF"], plain)
    return _drawn([r for r in rows if total.checks.checked or not r.key.startswith("checked:")])


def _drawn(rows: Sequence[_Row]) -> str:
    label = max(len(safe(row.label)) for row in rows)
    number = max(len(row.shown) for row in rows)
    room = min(_BAR, shutil.get_terminal_size().columns - label - number - 10)
    lines = []
    for row in rows:
        line = f"{safe(row.label):{label}}  {row.shown:>{number}}"
        if row.part is not None:
            line += f"  {row.part:4.0%}" if row.per_cent else " " * 6
            if room >= _LEAST_BAR:
                line += "  " + _bar(row.part, room, row.colour)
        elif row.beside:
            line += f"  {row.beside}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _count(key: str, label: str, count: int, of: int, colour: str | None = None) -> _Row:
    return _Row(key, label, str(count), str(count), of, count / of if of else None, colour=colour)


def _outcomes(f: Figures) -> list[_Row]:
    return [
        _Row("calls", "calls", str(f.calls), str(f.calls)),
        _count("done", "  done", f.done, f.calls, "green"),
        *(_count(f"done:{word}", f"    {word}", f.outcomes[word], f.done, _COLOURS.get(word)) for word in _DONE),
        _count("done:pass-checked", "    checked pass", f.checked_pass, f.outcomes["pass"], "green"),
        _count("error", "  error", f.error, f.calls, "red"),
        *(_count(f"error:{reason}", f"    {reason}", n, f.error, "red") for reason, n in f.reasons.items()),
        _count("pending", "  pending", f.pending, f.calls, "yellow"),
    ]


_DONE: Final = ("pass", "fail", "check-failed", "unverified")
_COLOURS: Final = {"pass": "green", "fail": "red", "check-failed": "red"}


def _claims(f: Figures) -> list[_Row]:
    c = f.checks
    of = f"of {f.answered} answered"
    rows = [_Row("checked", "checked by gitrelay", str(c.checked), str(c.checked), f.answered, beside=of)]
    counts = (
        ("agreed", "claim and check agree", c.agreed, "green"),
        ("claimed-pass-failed", "claimed pass, check failed", c.claimed_pass_failed, "red"),
        ("claimed-fail-passed", "claimed fail, check passed", c.claimed_fail_passed, "yellow"),
        ("no-claim", "claimed nothing", c.no_claim, None),
        ("unknown", "check did not end", c.unknown, None),
    )
    rows += [_count(f"checked:{key}", f"  {label}", n, c.checked, colour) for key, label, n, colour in counts]
    return rows


def _durations(f: Figures) -> list[_Row]:
    spread = f.duration
    rows = [_Row("", "duration", "", "", beside=_reported(spread.known, f))]
    for name in ("min", "p50", "p90", "p99", "max"):
        value: float | None = getattr(spread, name)
        part = None if value is None or not spread.max else value / spread.max
        shown = "unknown" if value is None else duration.render(value)
        bare = "unknown" if value is None else f"{value:.1f}"
        rows.append(_Row(f"seconds:{name}", f"  {name}", bare, shown, spread.known, part, per_cent=False))
    return rows


def _amounts(f: Figures) -> list[_Row]:
    rows = [
        _Row(f"tokens:{name}", f"tokens {name}", _bare(a), _tokens(a), a.known, beside=_reported(a.known, f))
        for name, a in f.tokens.items()
    ]
    cost = "unknown" if f.cost.total is None else f"${f.cost.total:.2f}"
    return [
        *rows,
        _Row("cost-usd", "cost", _bare(f.cost), cost, f.cost.known, beside=_reported(f.cost.known, f)),
        _Row("redacted", "secrets redacted", str(f.redacted), str(f.redacted)),
    ]


def _reported(known: int, f: Figures) -> str:
    return f"reported by {known} of {f.answered}" if known else f"reported by none of {f.answered}"


def _bare(amount: Amount) -> str:
    return "unknown" if amount.total is None else f"{amount.total:f}"


def _tokens(amount: Amount) -> str:
    if amount.total is None:
        return "unknown"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if amount.total >= 10 * size:
            return f"{amount.total / size:.0f}{unit}"
        if amount.total >= size:
            return f"{amount.total / size:.1f}{unit}"
    return f"{amount.total:.0f}"


# -- by group -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """`bare` is its cell on a pipe, `shown` on a terminal; if that is narrow, the highest `rank` goes first."""

    head: str
    bare: Callable[[Figures], str]
    shown: Callable[[Figures], str]
    rank: int = 0


def _same(head: str, cell: Callable[[Figures], object], rank: int) -> _Column:
    return _Column(head, lambda f: str(cell(f)), lambda f: str(cell(f)), rank)


def _at_least(amount: Amount, answered: int, text: str) -> str:
    """`text` with a + if some calls did not report their part; - if none did."""
    return "-" if amount.total is None else text + ("+" if amount.known < answered else "")


def _seconds(name: str, rank: int) -> _Column:
    def value(f: Figures) -> float | None:
        found: float | None = getattr(f.duration, name)
        return found

    def bare(f: Figures) -> str:
        return "-" if (seconds := value(f)) is None else f"{seconds:.1f}"

    def shown(f: Figures) -> str:
        return "-" if (seconds := value(f)) is None else duration.render(seconds)

    return _Column(name.upper(), bare, shown, rank)


def _spent(name: str, rank: int) -> _Column:
    return _Column(
        name.upper(),
        lambda f: _at_least(f.tokens[name], f.answered, _bare(f.tokens[name])),
        lambda f: _at_least(f.tokens[name], f.answered, _tokens(f.tokens[name])),
        rank,
    )


_COLUMNS: Final = (
    _same("CALLS", lambda f: f.calls, 0),
    _same("PENDING", lambda f: f.pending, 6),
    _same("DONE", lambda f: f.done, 1),
    _same("ERROR", lambda f: f.error, 1),
    _same("PASS", lambda f: f.outcomes["pass"], 3),
    _same("FAIL", lambda f: f.outcomes["fail"] + f.outcomes["check-failed"], 3),
    _same("UNVERIFIED", lambda f: f.outcomes["unverified"], 7),
    _same("CHECKED", lambda f: f.checks.checked, 4),
    _same("SEEN", lambda f: f.seen.counts, 1),
    _same("SEEN-95%", lambda f: f.seen.shown, 1),
    _same("CLAIMED", lambda f: f.claimed.counts, 7),
    _same("CLAIMED-95%", lambda f: f.claimed.shown, 7),
    _same("PASS-FAILED", lambda f: f.checks.claimed_pass_failed, 4),
    _same("FAIL-PASSED", lambda f: f.checks.claimed_fail_passed, 8),
    _seconds("p50", 2),
    _seconds("p90", 5),
    _seconds("p99", 8),
    _spent("input", 5),
    _spent("cached", 9),
    _spent("output", 5),
    _Column(
        "COST",
        lambda f: _at_least(f.cost, f.answered, _bare(f.cost)),
        lambda f: _at_least(f.cost, f.answered, f"${f.cost.total or 0:.2f}"),
        2,
    ),
)


def table(by: str, groups: Sequence[Figures], total: Figures) -> str:
    """A line for each group, and one for all together."""
    if not sys.stdout.isatty():
        rows = [[name, *(c.bare(f) for c in _COLUMNS)] for name, f in _named(groups, total)]
        return columns([by.upper(), *(c.head for c in _COLUMNS)], rows)
    rows = [[_short(name), *(c.shown(f) for c in _COLUMNS)] for name, f in _named(groups, total)]
    rows.insert(0, [by.upper(), *(c.head for c in _COLUMNS)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    width = shutil.get_terminal_size().columns
    kept = list(range(len(rows[0])))
    bar = _SMALL_BAR + 2 if width >= _WIDE else 0
    while sum(widths[i] + 2 for i in kept) - 2 + bar > width and len(kept) > 2:
        kept.remove(max(kept[1:], key=lambda i: (_COLUMNS[i - 1].rank, i)))
    room = min(_BAR, width - sum(widths[i] + 2 for i in kept))
    most = max((f.calls for f in groups), default=0)
    bars = ["", *(_bar(f.calls / most, room, "cyan") for f in groups), ""]
    lines = []
    for row, drawn in zip(rows, bars, strict=True):
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in kept[1:])]
        lines.append("  ".join([*cells, *([drawn] if room >= _LEAST_BAR else [])]).rstrip())
    return "\n".join(lines)


def _named(groups: Sequence[Figures], total: Figures) -> list[tuple[str, Figures]]:
    return [*(("(unknown)" if f.group is None else f.group, f) for f in groups), ("(total)", total)]


def _short(name: str) -> str:
    shown = safe(name).replace("\n", " ")
    return shown if len(shown) <= _NAME else shown[: _NAME - 3] + "..."


# -- bars ---------------------------------------------------------------------------------------------


def _bar(part: float, width: int, colour: str | None) -> str:
    """A bar of `part` (0 to 1) of `width` cells; what is more than nothing is seen."""
    if width < 1 or part <= 0:
        return ""
    eighths = max(1, round(min(part, 1.0) * width * 8))
    if _encodes(_EIGHTHS):
        bar = _EIGHTHS[-1] * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    else:
        bar = "#" * max(1, eighths // 8)
    return click.style(bar, fg=colour) if colour and not os.environ.get("NO_COLOR") else bar


def _encodes(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
