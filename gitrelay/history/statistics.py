"""What a few counts can tell: an interval for a rate, a test for pairs. Pure, no I/O.

Sums of a few hundred exchanges are far from normal, so nothing here uses the normal approximation for a test:
Wilson's interval (1927) for a rate, McNemar's test in its exact, binomial form for pairs.
"""

from __future__ import annotations

from math import comb, sqrt
from typing import Final, NamedTuple

ALPHA: Final = 0.05  # a difference is told only if chance alone brings one as large less often than this
Z: Final = 1.959963984540054  # the quantile of the normal distribution for 95 %, both sides
FEW: Final = 6  # fewer than this cannot tell two sides apart, even if every one goes the same way: 5 to 0 is p = 0.06


def wilson(passed: int, of: int, z: float = Z) -> tuple[float, float]:
    """The 95 % interval of a rate of `passed` of `of`, as two shares from 0 to 1; (0, 1) of none.

    Raises ValueError if `passed` is not between 0 and `of`.
    """
    if not 0 <= passed <= of:
        raise ValueError(f"{passed} of {of}")
    if of == 0:
        return 0.0, 1.0
    share, square = passed / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar_exact(one: int, other: int) -> float:
    """The two-sided p of `one` pairs that only one side won and `other` pairs that only the other won.

    Pairs that both won, or both lost, say nothing. 1 if there is none. Raises ValueError for a negative count.
    """
    if one < 0 or other < 0:
        raise ValueError(f"{one} to {other}")
    total, less = one + other, min(one, other)
    as_far = sum(comb(total, k) for k in range(less + 1))
    return min(1.0, float(2 * as_far / (1 << total)))


def needed(one: int, other: int, alpha: float = ALPHA) -> int:
    """How many more pairs, all won by the side that leads, the least that tells a difference needs; 0 if it is told."""
    lead, rest = max(one, other), min(one, other)
    more = 0
    while mcnemar_exact(lead + more, rest) >= alpha:
        more += 1
    return more


class Rate(NamedTuple):
    """How many `passed`, `of` how many of which it is known."""

    passed: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of its share, 0 to 1."""
        return wilson(self.passed, self.of)

    @property
    def is_few(self) -> bool:
        """Whether a share would say more than is known."""
        return self.of < FEW

    @property
    def counts(self) -> str:
        return f"{self.passed}/{self.of}"

    @property
    def shown(self) -> str:
        """The interval as `47-91%`, `few` if it is of too few, `-` of none."""
        if not self.of:
            return "-"
        low, high = self.interval
        return "few" if self.is_few else f"{100 * low:.0f}-{100 * high:.0f}%"
