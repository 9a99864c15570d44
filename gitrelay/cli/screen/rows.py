"""What the tables show: columns, and rows of plain values out of the core's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gitrelay.cli.screen.style import of_outcome
from gitrelay.cli.screen.table import Cell, Column
from gitrelay.cli.table import outcome
from gitrelay.duration import ago, render
from gitrelay.history.exchange import Exchange
from gitrelay.history.sessions import SessionSummary
from gitrelay.protocol.record import Trailer

SESSIONS: Final = (
    Column("SESSION", least=12, tail="/"),
    Column("TURNS", rank=3, right=True),
    Column("WHO", rank=2, least=15, tail=" -> "),
    Column("LAST"),
    Column("AGE", rank=1),
)
EXCHANGES: Final = (
    Column("ADDRESS", least=16, tail="/"),
    Column("ASKED", rank=3),
    Column("WHO", rank=2, least=15, tail=" -> "),
    Column("OUTCOME"),
    Column("TOOK", rank=4, right=True),
    Column("TASK", rank=1, least=16),
)
CALLS: Final = (
    Column("ADDRESS", least=10, tail="/"),
    Column("WHO", rank=4, least=15, tail=" -> "),
    Column("STATE"),
    Column("AGE", rank=1, right=True),
    Column("LAST OUTPUT", rank=3, right=True),
    Column("WALL LEFT", rank=2, right=True),
    Column("IDLE LEFT", rank=5, right=True),
)


def of_session(s: SessionSummary, now: float) -> list[Cell]:
    words = outcome(s.status, s.verify, s.reason) + (" (archived)" if s.archived else "")
    return [
        (s.name, "name"),
        (str(s.turns), ""),
        (f"{s.from_} -> {s.to}" if s.to else "-", ""),
        (words, of_outcome(s.status, s.verify)),
        (ago(now - s.last) if s.last else "-", "faint"),
    ]


def of_exchange(e: Exchange, now: float) -> list[Cell]:
    return [
        (str(e.address), "name"),
        (ago(now - e.request.time), "faint"),
        (f"{e.from_} -> {e.to}", ""),
        standing(e),
        (took(e), "faint"),
        (e.request.subject.partition(": ")[2], ""),
    ]


def standing(e: Exchange) -> Cell:
    """The state of an exchange, in words and in colour; a failed check is shown next to what the peer claims."""
    failed = e.status == "done" and bool(e.failed_checks)
    words = outcome(e.status, e.verify, e.reason) + (", check fail" if failed else "")
    return words, of_outcome(e.status, e.verify, check_failed=failed)


def took(e: Exchange) -> str:
    """How long the call took, as recorded; empty if it was not."""
    try:
        return render(float(e.response.trailers[Trailer.DURATION])) if e.response else ""
    except (KeyError, ValueError):
        return ""


def of_call(row: Mapping[str, Any]) -> list[Cell]:
    """A row of `git relay status` as its JSON has it."""

    def shown(key: str) -> str:
        seconds = row[key]
        return "-" if seconds is None else render(max(0.0, float(seconds)))

    low = any(row[key] is not None and row[key] < 60 for key in ("wall_left_s", "idle_left_s"))
    return [
        (str(row["address"]), "name"),
        (f"{row['from']} -> {row['to']}", ""),
        (str(row["state"]), "good" if row["state"] == "running" else "waiting"),
        (shown("age_s"), ""),
        (shown("last_output_s"), ""),
        (shown("wall_left_s"), "bad" if low else ""),
        (shown("idle_left_s"), "bad" if low else ""),
    ]
