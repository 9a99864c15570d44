"""Everything that the search for bad bytes ever found worth keeping, tried again."""

from __future__ import annotations

import pytest
from targets import SEEDS, TARGETS, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_is_borne(target: str) -> None:
    known = seeds(target)
    assert known, f"run: python tests/fuzz/fuzz.py {target}"
    for seed in known:
        try:
            TARGETS[target](seed)
        except BaseException:
            print(f"{target} cannot bear {seed!r}")
            raise


def test_no_seed_is_forgotten() -> None:
    assert {path.stem for path in SEEDS.iterdir()} == set(TARGETS)
