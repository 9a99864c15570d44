"""The columns of `blame` on a terminal, and the row of a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.cli import blaming
from gitrelay.cli.screen.style import of_outcome
from gitrelay.cli.screen.table import Cell, Column
from gitrelay.history.exchange import Exchange
from gitrelay.provenance.lines import saying
from gitrelay.provenance.lines.blame import Blamed

COLUMNS: Final = (
    Column("LINE", right=True),
    Column("ADDRESS", least=12, tail="/"),
    Column("PEER", rank=2),
    Column("OUTCOME", rank=3),
    Column("REVIEWED", rank=4),
    Column("ANSWERED", rank=5),
    Column("TEXT", least=20),
)
UNREVIEWED: Final = tuple(column for column in COLUMNS if column.head != "REVIEWED")


def of_line(one: Blamed, other: str, reviews: Sequence[Exchange] | None) -> list[Cell]:
    """`other`: what another tool reports of a line that no exchange added.

    `reviews`: the verdicts on the line, None for UNREVIEWED.
    """
    e = one.exchanges[0] if len(one.exchanges) == 1 else None
    doubt = "" if e is not None else "faint" if not one.exchanges else "waiting"
    text = saying.text_of(one).replace("\t", "    ")
    return [
        (str(one.number), "faint"),
        (blaming.addresses(one), doubt or "name"),
        (e.to if e is not None else other, "faint" if other else ""),
        (blaming.standing(one), of_outcome(e.outcome) if e is not None else doubt),
        *([] if reviews is None else [(blaming.reviewed(reviews), of_outcome(reviews[0].outcome) if reviews else "")]),
        (blaming.day(e), "faint") if e is not None else ("", ""),
        (text, ""),
    ]
