"""Intervals and tests of counts: figures that were worked out elsewhere, and what holds for any counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelay.history.statistics import ALPHA, mcnemar_exact, needed, wilson


@pytest.mark.parametrize(
    ("passed", "of", "low", "high"),
    # 8/10, 10/10 and 3/5 as R's prop.test(correct = FALSE) has them
    [(8, 10, 49, 94), (10, 10, 72, 100), (3, 5, 23, 88), (9, 12, 47, 91), (8, 12, 39, 86), (11, 12, 65, 99)],
)
def test_wilsons_interval(passed: int, of: int, low: int, high: int) -> None:
    assert [round(100 * end) for end in wilson(passed, of)] == [low, high]


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [(5, 0, 0.063), (6, 0, 0.031), (7, 1, 0.070), (8, 1, 0.039), (10, 2, 0.039), (3, 0, 0.25), (0, 0, 1.0)],
)
def test_mcnemars_exact_test(one: int, other: int, p: float) -> None:
    assert mcnemar_exact(one, other) == pytest.approx(p, abs=0.0006)
    assert mcnemar_exact(other, one) == mcnemar_exact(one, other)


@pytest.mark.parametrize(("one", "other", "more"), [(0, 0, 6), (3, 0, 3), (0, 5, 1), (6, 0, 0), (7, 1, 1), (3, 3, 9)])
def test_how_many_more_would_tell_a_difference(one: int, other: int, more: int) -> None:
    assert needed(one, other) == more


@given(of=st.integers(0, 300), data=st.data())
def test_an_interval_holds_its_rate(of: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, of))
    low, high = wilson(passed, of)
    assert 0 <= low < high <= 1
    assert low <= (passed / of if of else 0.5) + 1e-12 and (passed / of if of else 0.5) <= high + 1e-12
    mirrored = wilson(of - passed, of)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@given(one=st.integers(0, 60), other=st.integers(0, 60))
def test_the_needed_pairs_are_the_fewest(one: int, other: int) -> None:
    more, lead, rest = needed(one, other), max(one, other), min(one, other)
    assert mcnemar_exact(lead + more, rest) < ALPHA
    assert more == 0 or mcnemar_exact(lead + more - 1, rest) >= ALPHA


def test_counts_that_cannot_be_are_refused() -> None:
    for wrong in ((-1, 3), (4, 3)):
        with pytest.raises(ValueError, match="of"):
            wilson(*wrong)
    with pytest.raises(ValueError, match="to"):
        mcnemar_exact(-1, 0)
