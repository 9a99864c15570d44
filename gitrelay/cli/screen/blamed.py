"""The columns of `blame` on a terminal, and the row of a line. Pure."""

from __future__ import annotations

from typing import Final

from gitrelay.cli import blaming
from gitrelay.cli.screen.style import of_outcome
from gitrelay.cli.screen.table import Cell, Column
from gitrelay.provenance.blame import Blamed

COLUMNS: Final = (
    Column("LINE", right=True),
    Column("ADDRESS", least=12, tail="/"),
    Column("PEER", rank=2),
    Column("OUTCOME", rank=3),
    Column("ANSWERED", rank=4),
    Column("TEXT", least=20),
)


def of_line(one: Blamed, other: str) -> list[Cell]:
    """`other`: what another tool reports of a line that no exchange added."""
    e = one.exchanges[0] if len(one.exchanges) == 1 else None
    doubt = "" if e is not None else "faint" if not one.exchanges else "waiting"
    text = blaming.text_of(one).replace("\t", "    ")
    return [
        (str(one.number), "faint"),
        (blaming.addresses(one), doubt or "name"),
        (e.to if e is not None else other, "faint" if other else ""),
        (blaming.standing(one), of_outcome(e.outcome) if e is not None else "waiting"),
        (blaming.day(e), "faint") if e is not None else ("", ""),
        (text, ""),
    ]
