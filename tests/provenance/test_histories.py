"""Scripted histories of every kind: who wrote each line is known to the test, and must be what is told.

Each kind with a few seeds; under GITRELAY_SOAK=1 with ten, which is more than 200.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gitrelay.ledger.ledger import open_ledger
from gitrelay.provenance import blame, files
from gitrelay.provenance.blame import Blamed, Kind
from support.histories import KINDS, History, Owned, made
from support.soak import rounds

SEEDS = rounds(2, 10)


def judged(history: History, path: str, folder: Path) -> Counter[str]:
    """How many lines are told right, lost (no exchange is named), and falsely credited."""
    ledger = open_ledger(folder)
    file = files.opened(ledger.repo, folder, path, None)
    with files.looking(ledger.repo, file) as looked:
        report = blame.blame(ledger, file, looked)
    truth = history.files[path]
    assert [one.line.data.decode() for one in report.lines] == [text for text, _ in truth]
    return Counter(_word(one, owned) for one, owned in zip(report.lines, truth, strict=True))


def _word(one: Blamed, owned: Owned) -> str:
    said = [str(e.address) for e in one.exchanges]
    if owned[1] is None:
        return "right" if one.kind in (Kind.NONE, Kind.UNKNOWN) else "false"
    if not said:
        return "lost"
    if owned[1] not in said:
        return "false"
    return "right" if one.kind is Kind.ONE else "several"


def test_each_line_is_told_right_and_none_is_credited_falsely(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "HOME"):
        monkeypatch.setenv(name, env[name])
    total: Counter[str] = Counter()
    bad: list[str] = []
    for kind in KINDS:
        for seed in range(SEEDS):
            history, path = made(kind, seed)
            folder = tmp_path / f"{kind.__name__}-{seed}"
            history.write(folder, env)
            found = judged(history, path, folder)
            total += found
            if found["false"] or found["lost"] or found["several"]:
                bad.append(f"{kind.__name__} {seed}: {dict(found)}")
    lines = sum(total.values())
    record_property("printed", f"blame: {len(KINDS) * SEEDS} histories, {lines} lines: {dict(total)}")
    assert not total["false"], bad
    assert total["right"] + total["several"] >= 0.99 * lines, bad
    assert total["several"] <= 0.01 * lines, bad
