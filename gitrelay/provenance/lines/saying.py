"""What there is to say of a line and of a file, in words, for the terminal and for the site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.protocol.record import CODE
from gitrelay.provenance.lines.blame import Blamed, Kind, Report, Why

REASONS: Final = {
    Why.NOT_ADDED: "no recorded exchange is known to have added it",
    Why.OLDER: "it is older than the first exchange",
    Why.NO_FILES: "it cannot be known here: an exchange of that time has no files in this clone",
    Why.SHALLOW: "it cannot be known here: the history of this clone ends before it",
}


def text_of(one: Blamed) -> str:
    return one.line.data.decode("utf-8", "replace")


def remarks(one: Blamed) -> str:
    """What makes it less certain, in words; empty for most lines."""
    said = []
    if one.overlap:
        said.append("they ran at the same time in one tree; the first was answered first")
    elif one.kind is Kind.SEVERAL:
        said.append("each of them added this text")
    if one.shared:
        said.append(f"{', '.join(one.shared)} could write in the same tree meanwhile")
    if one.reflowed:
        said.append("the line was split or joined since")
    return "; ".join(said)


def summary(lines: Sequence[Blamed], report: Report) -> list[str]:
    """What there is to say below the lines, for the person."""
    found = {kind: sum(1 for one in lines if one.kind is kind) for kind in Kind}
    writers = {e.address for one in lines if one.kind is Kind.ONE for e in one.exchanges}
    parts = [f"{found[Kind.ONE]} by {count(len(writers), 'exchange')}"] if writers else []
    if found[Kind.SEVERAL]:
        parts.append(f"{found[Kind.SEVERAL]} by one of several")
    if found[Kind.NONE]:
        parts.append(f"{found[Kind.NONE]} by no exchange that is known (-), which does not say by whom")
    if found[Kind.UNKNOWN]:
        parts.append(f"{found[Kind.UNKNOWN]} cannot be known here (?)")
    said = [f"{count(len(lines), 'line')}: {', '.join(parts) or 'nothing to tell'}"]
    if report.missing:
        said.append(
            f"{report.missing} of {count(report.total, 'exchange')} have no files here: "
            f"git fetch REMOTE '{CODE}*:{CODE}*'"
        )
    return said


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
