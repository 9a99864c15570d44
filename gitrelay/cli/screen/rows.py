"""What the tables show: columns, and rows of plain values out of the core's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gitrelay.cli.screen.style import of_outcome
from gitrelay.cli.screen.table import Cell, Column
from gitrelay.ground.duration import ago, render
from gitrelay.history.exchange import Exchange
from gitrelay.history.outcome import shown
from gitrelay.history.sessions import SessionSummary
from gitrelay.history.tasks import task_shown

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
PEERS: Final = (
    Column(""),
    Column("PEER"),
    Column("VERSION"),
    Column("ACCESS", rank=2),
    Column("FOUND AT", rank=1, least=20, tail="/"),
)


def of_peer(row: Mapping[str, Any]) -> list[Cell]:
    """A row of `git relay peers` as its JSON has it."""
    works = bool(row["supported"])
    return [
        ("ok" if works else "-" if row["path"] is None else "!", "good" if works else "faint"),
        (str(row["peer"]), "name"),
        (str(row["version"] or "-"), ""),
        (",".join(row["access"]) if works else "-", ""),
        (str(row["path"] or "not installed: git relay doctor"), "" if row["path"] else "faint"),
    ]


def of_session(s: SessionSummary, now: float) -> list[Cell]:
    words = shown(s.outcome, s.checked) + (" (archived)" if s.archived else f" ({s.remote})" if s.remote else "")
    return [
        (s.name, "name"),
        (str(s.turns), ""),
        (f"{s.from_} -> {s.to}" if s.to else "-", ""),
        (words, of_outcome(s.outcome)),
        (ago(now - s.last) if s.last else "-", "faint"),
    ]


def of_exchange(e: Exchange, now: float) -> list[Cell]:
    return [
        (str(e.address), "name"),
        (ago(now - e.request.time), "faint"),
        (f"{e.from_} -> {e.to}", ""),
        standing(e),
        (took(e), "faint"),
        (task_shown(e), ""),
    ]


def standing(e: Exchange) -> Cell:
    """How an exchange ended, in words and in colour."""
    return shown(e.outcome, e.checked), of_outcome(e.outcome)


def took(e: Exchange) -> str:
    """How long the call took, as recorded; empty if it was not."""
    try:
        return render(float(e.response.duration)) if e.response and e.response.duration else ""
    except ValueError:
        return ""


def of_call(row: Mapping[str, Any]) -> list[Cell]:
    """A row of `git relay status` as its JSON has it."""

    def left(key: str) -> str:
        seconds = row[key]
        return "-" if seconds is None else render(max(0.0, float(seconds)))

    low = any(row[key] is not None and row[key] < 60 for key in ("wall_left_s", "idle_left_s"))
    return [
        (str(row["address"]), "name"),
        (f"{row['from']} -> {row['to']}", ""),
        (str(row["state"]), "good" if row["state"] == "running" else "waiting"),
        (left("age_s"), ""),
        (left("last_output_s"), ""),
        (left("wall_left_s"), "bad" if low else ""),
        (left("idle_left_s"), "bad" if low else ""),
    ]
