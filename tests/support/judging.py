"""What blame tells of a history whose truth is known, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gitrelay.ledger.ledger import open_ledger
from gitrelay.provenance.lines import blame, files
from support.histories import History


def judged(history: History, path: str, folder: Path) -> Counter[str]:
    """How many lines are told `right`, `lost`, `several`, `false`: see `word_of`."""
    ledger = open_ledger(folder)
    file = files.opened(ledger.repo, folder, path, None)
    with files.looking(ledger.repo, file) as looked:
        report = blame.blame(ledger, file, looked)
    truth = history.files[path]
    assert [one.line.data.decode("utf-8", "surrogateescape") for one in report.lines] == [text for text, _ in truth]
    said = [[str(e.address) for e in one.exchanges] for one in report.lines]
    return Counter(word_of(names, owner) for names, (_, owner) in zip(said, truth, strict=True))


def word_of(said: Sequence[str], owner: str | None) -> str:
    """How a line is told: `right`, `lost` (nobody is named), `several` (one of those named wrote it), or `false`."""
    if owner is None:
        return "false" if said else "right"
    if not said:
        return "lost"
    owners = owner.split("|")
    if sorted(said) == sorted(owners):
        return "right"
    return "several" if set(owners) <= set(said) else "false"
