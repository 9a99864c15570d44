"""Scripted histories of every kind: who wrote each line is known to the test, and must be what is told.

Each kind with one seed; under GITRELAY_SOAK=1 with ten, which is nearly 500. `python benchmarks/blame.py` tries others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.hard_kinds import HARD
from support.histories import made
from support.judging import judged
from support.kinds import KINDS
from support.soak import rounds

SEEDS = rounds(1, 10)


def test_each_line_is_told_right_and_none_is_credited_falsely(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "HOME"):
        monkeypatch.setenv(name, env[name])
    total: Counter[str] = Counter()
    bad: list[str] = []
    for kind in (*KINDS, *HARD):
        for seed in range(SEEDS):
            history, path = made(kind, seed)
            folder = tmp_path / f"{kind.__name__}-{seed}"
            history.write(folder, env)
            found = judged(history, path, folder)
            total += found
            if found["false"] or found["lost"] or found["several"]:
                bad.append(f"{kind.__name__} {seed}: {dict(found)}")
    lines = sum(total.values())
    count = len((*KINDS, *HARD)) * SEEDS
    record_property("printed", f"blame: {count} histories, {lines} lines: {dict(total)}")
    assert not total["false"], bad
    assert total["right"] + total["several"] >= 0.99 * lines, bad
    assert total["several"] <= 0.01 * lines, bad
