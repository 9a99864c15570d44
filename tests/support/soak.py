"""How much the tests try: a selection by default, all of it under GITRELAY_SOAK=1 (`nox -s soak`)."""

from __future__ import annotations

import datetime
import itertools
import os
import random
from collections.abc import Sequence
from typing import Any, Final

SOAK: Final = os.environ.get("GITRELAY_SOAK", "") not in ("", "0")


def rounds(usual: int, soak: int) -> int:
    """How often a test tries: `usual`, or `soak` if it has hours."""
    return soak if SOAK else usual


def dice(name: str) -> random.Random:
    """Chance for the test `name`: the same all day, or by GITRELAY_TEST_SEED."""
    seed = os.environ.get("GITRELAY_TEST_SEED") or datetime.date.today().isoformat()
    return random.Random(f"{seed}-{name}")


def covering(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows in which each value of each axis comes at least once; every combination under GITRELAY_SOAK=1."""
    if SOAK:
        return list(itertools.product(*axes))
    return [tuple(axis[n % len(axis)] for axis in axes) for n in range(max(map(len, axes)))]
