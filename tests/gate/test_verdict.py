"""What recorded reviews say: every state, what counts, and which of several decides. Values only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gitrelay.gate.verdict import (
    BYPASSED,
    FAILED,
    MISSING,
    PASSED,
    REFUSED,
    RUNNING,
    STALE,
    STATES,
    UNEVALUATED,
    Question,
    Review,
    joined,
    judge,
)
from gitrelay.protocol.names import Address

BASE, HEAD, TREE, POLICY = (c * 40 for c in "abcd")
QUESTION = Question(BASE, HEAD, TREE, POLICY, "codex")


def review(number: int, **changed: Any) -> Review:
    passed = Review(
        address=Address("review-main", f"{number:02d}"),
        time=1000,
        base=BASE,
        head=HEAD,
        tree=TREE,
        policy=POLICY,
        reviewer="codex",
        status="done",
        verify="pass",
        reason=None,
        own=True,
    )
    return replace(passed, **changed)


FAIL = {"verify": "fail"}
SKIP = {"verify": "skip"}
ERROR = {"status": "error", "verify": "skip", "reason": "quota"}
PENDING = {"status": "pending", "verify": None, "own": False}
EXCEPTION = {"verify": "skip", "reviewer": "uma", "bypass": "hotfix"}
BY_HAND = {"own": False}
ELSE = "e" * 40


@pytest.mark.parametrize(
    ("reviews", "state"),
    [
        ([], MISSING),
        ([{}], PASSED),
        ([FAIL], FAILED),
        ([{"failed_checks": ("pytest -q",)}], FAILED),
        ([SKIP], UNEVALUATED),
        ([ERROR], UNEVALUATED),
        ([PENDING], RUNNING),
        ([EXCEPTION], BYPASSED),
        ([BY_HAND], REFUSED),
        ([{"reviewer": "claude"}], REFUSED),
        ([{"reviewer": "claude", **FAIL}], REFUSED),
        ([{"policy": "none"}], STALE),
        ([{"policy": ELSE}], STALE),
        ([{"tree": ELSE}], STALE),
        ([{"base": ELSE}], STALE),
        ([{"base": "none"}], STALE),
        ([{"head": ELSE}], PASSED),  # an amended commit
        # the last verdict decides, and what is none takes none back
        ([{}, FAIL], FAILED),
        ([FAIL, {}], PASSED),
        ([FAIL, EXCEPTION], BYPASSED),
        ([EXCEPTION, FAIL], FAILED),
        ([{}, ERROR], PASSED),
        ([{}, PENDING], PASSED),
        ([FAIL, PENDING], FAILED),
        ([ERROR, PENDING], RUNNING),
        ([{}, {"reviewer": "claude", **FAIL}], PASSED),
        ([FAIL, BY_HAND], FAILED),
        ([{}, {"tree": ELSE, **FAIL}], PASSED),
        ([ERROR, BY_HAND], UNEVALUATED),
        ([{}] * 8 + [{}, FAIL], FAILED),  # 10 comes after 09
    ],
)
def test_the_state_is_what_the_record_says(reviews: list[dict[str, Any]], state: str) -> None:
    found = [review(i + 1, **changed) for i, changed in enumerate(reviews)]
    for order in (found, found[::-1]):
        said = judge(QUESTION, order, order)
        assert said.state == state and said.exit_code == STATES[state][0]
        assert said.why and said.lets_go == (state in (PASSED, BYPASSED))


def test_who_does_not_ask_for_a_reviewer_takes_anybodys_verdict() -> None:
    anybody = replace(QUESTION, reviewer=None)
    assert judge(anybody, [review(1, reviewer="claude")], []).state == PASSED
    assert judge(anybody, [review(1, own=False)], []).state == REFUSED


def test_an_exception_may_be_left_out() -> None:
    both = [review(1, **FAIL), review(2, **EXCEPTION)]
    assert judge(QUESTION, both, both, exceptions=False).state == FAILED
    assert judge(QUESTION, both[1:], both[1:], exceptions=False).state == STALE


def test_a_review_from_further_back_counts_where_it_has_seen_all() -> None:
    found = [review(1, base=ELSE, **FAIL)]
    assert judge(QUESTION, found, found).state == STALE
    assert judge(QUESTION, found, found, covers=lambda r: r.base == ELSE).state == FAILED


def test_steps_that_were_let_through_make_one_that_was() -> None:
    first, second, third = (judge(QUESTION, [review(n, **k)], []) for n, k in ((1, {}), (2, EXCEPTION), (3, {})))
    whole = joined(joined(third, second), first)
    assert whole.state == BYPASSED
    assert [str(r.address) for r in (whole.review, *whole.through) if r] == [f"review-main/0{n}" for n in (3, 2, 1)]
