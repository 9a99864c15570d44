"""What recorded reviews say about a change. Pure, no I/O.

A verdict is a review's `pass` or `fail`, bound to base, tree, policy, reviewer and the trees of all commits between.
It counts for a change with the same of each, whatever the commits are called: an amended message keeps it. The last
one that counts decides. What is no verdict is kept apart from a missing one, because what to do differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gitrelay.errors import NO_ANSWER, OK, PENDING, USAGE, VERIFY_FAILED
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BINDING, Trailer

PASSED: Final = "passed"
BYPASSED: Final = "bypassed"
FAILED: Final = "failed"
MISSING: Final = "missing"
STALE: Final = "stale"
RUNNING: Final = "running"
REFUSED: Final = "refused"
UNEVALUATED: Final = "could not evaluate"
NOTHING_NEW: Final = "nothing new"
SHALLOW: Final = "shallow"
NOT_FETCHED: Final = "not fetched"
LET_GO: Final = (PASSED, BYPASSED)
UNTOLD: Final = (NOTHING_NEW, SHALLOW, NOT_FETCHED)  # nothing was judged; with CI=true `check` exits with 1

# state -> (exit code of `check`, what it means); docs/gate.md has the same list
STATES: Final[dict[str, tuple[int, str]]] = {
    PASSED: (OK, "the reviewer's `verify: pass` is recorded for this base, tree and policy"),
    BYPASSED: (OK, "a person let it through and gave a reason (`git relay bypass`)"),
    FAILED: (VERIFY_FAILED, "the reviewer's `verify: fail`, or a check that failed, is recorded for it"),
    MISSING: (VERIFY_FAILED, "this branch was never reviewed"),
    STALE: (VERIFY_FAILED, "the branch was reviewed, but with another tree, base or policy, or without all commits"),
    RUNNING: (PENDING, "it is being reviewed now"),
    REFUSED: (VERIFY_FAILED, "there is an answer for it that does not count: given by hand, or by another reviewer"),
    UNEVALUATED: (NO_ANSWER, "the review ended without a verdict: no answer, or neither pass nor fail"),
    NOTHING_NEW: (USAGE, "there is no commit in it, so nothing was judged"),
    SHALLOW: (NO_ANSWER, "the clone is shallow and is cut off before the base"),
    NOT_FETCHED: (NO_ANSWER, "the verdicts are not in this clone, or older ones, or ones that break the rules"),
}

BASE: Final = BINDING + "Base"
HEAD: Final = BINDING + "Head"
TREE: Final = BINDING + "Tree"
POLICY: Final = BINDING + "Policy"
TREES: Final = BINDING + "Trees"  # further ones are Trees-2, Trees-3, ...
DIFF: Final = BINDING + "Diff"  # sha256 of the patch file that the reviewer was given
_TREES_WIDTH: Final = 900  # characters of one trailer; a recorded line is cut at 1000
_TREES_MAX: Final = 400  # of more commits the reviewed ones are told from the head, if it is in the clone
BYPASS: Final = Trailer.BYPASS  # on the answer of the person who lets a change through: the reason
NONE: Final = "none"  # of a base or a policy


@dataclass(frozen=True)
class Question:
    """A change as verdicts are bound to it. `reviewer` None: anybody's verdict counts.

    `trees` are those of its commits between base and head, where they are neither's.
    """

    base: str | None
    head: str
    tree: str
    policy: str | None
    reviewer: str | None
    trees: tuple[str, ...] = ()

    @property
    def binding(self) -> dict[str, str]:
        own = {BASE: self.base or NONE, HEAD: self.head, TREE: self.tree, POLICY: self.policy or NONE}
        return own | _trees_trailers(self.trees)


def _trees_trailers(trees: Sequence[str]) -> dict[str, str]:
    if not 0 < len(trees) <= _TREES_MAX:
        return {}
    each = _TREES_WIDTH // (len(trees[0]) + 1)
    parts = [trees[at : at + each] for at in range(0, len(trees), each)]
    return {TREES if not i else f"{TREES}-{i + 1}": " ".join(part) for i, part in enumerate(parts)}


def trees_of(trailers: Mapping[str, str]) -> frozenset[str]:
    """The trees that a request's trailers name, besides that of its head."""
    found = (value.split() for key, value in trailers.items() if key == TREES or key.startswith(f"{TREES}-"))
    return frozenset(tree for part in found for tree in part)


@dataclass(frozen=True)
class Review:
    """One recorded review. `time` is when it was asked, seconds since the epoch; `status` may be `pending`.

    `own`: gitrelay ran the reviewer and has its answer from it; an answer given with `git relay res` has no such mark.
    `failed_checks` are the commands that did not pass; `bypass` is the reason of an exception, by `reviewer`.
    """

    address: Address
    time: int
    base: str
    head: str
    tree: str
    policy: str
    reviewer: str
    status: str
    verify: str | None
    reason: str | None
    own: bool
    failed_checks: tuple[str, ...] = ()
    bypass: str | None = None
    trees: frozenset[str] = frozenset()

    @property
    def seen(self) -> frozenset[str]:
        """Every tree that it is about."""
        return self.trees | {self.tree}

    @property
    def state(self) -> str:
        """What it says of the change that it is bound to, if it counts."""
        if self.bypass is not None:
            return BYPASSED
        if self.status == "pending":
            return RUNNING
        if self.status == "done" and (self.verify == "fail" or self.failed_checks):
            return FAILED
        return PASSED if self.status == "done" and self.verify == "pass" else UNEVALUATED

    @property
    def order(self) -> tuple[int, str, int, str]:
        return self.time, self.address.session, len(self.address.id), self.address.id


@dataclass(frozen=True)
class Verdict:
    """The answer: a state, the review that decided it, and why in words. `through`: reviews that it rests on too."""

    state: str
    review: Review | None = None
    why: str = ""
    through: tuple[Review, ...] = ()

    @property
    def exit_code(self) -> int:
        return STATES[self.state][0]

    @property
    def lets_go(self) -> bool:
        return self.state in LET_GO

    @property
    def seen(self) -> frozenset[str]:
        """The trees of all the reviews that it rests on."""
        every = (*((self.review,) if self.review else ()), *self.through)
        return frozenset().union(*(review.seen for review in every))


def judge(
    question: Question,
    reviews: Sequence[Review],
    of_branch: Sequence[Review],
    *,
    covers: Callable[[Review], bool] = lambda review: False,
    exceptions: bool = True,
) -> Verdict:
    """What `reviews`, those with the question's tree, say; `of_branch` are all of the branch, for telling stale ones.

    `covers` says of a review with another base whether it looked at the whole change all the same. Without
    `exceptions` a bypass does not count.
    """
    of_tree = [r for r in sorted(reviews, key=lambda r: r.order) if r.tree == question.tree]
    same = [r for r in of_tree if r.base == (question.base or NONE) or covers(r)]
    counted = [r for r in same if _why_not(question, r) is None and (exceptions or r.bypass is None)]
    for states in ((PASSED, FAILED, BYPASSED), (RUNNING,), (UNEVALUATED,)):
        found = next((r for r in reversed(counted) if r.state in states), None)
        if found is not None:
            return Verdict(found.state, found, _words(found))
    for r in reversed(same):
        why = _why_not(question, r)
        if why is not None and r.state != RUNNING:
            return Verdict(STALE if r.policy != (question.policy or NONE) else REFUSED, r, why)
    last = next((r for r in sorted(of_branch, key=lambda r: r.order, reverse=True)), None)
    if last is None:
        return Verdict(MISSING, why="it was never reviewed")
    if last.tree != question.tree:
        return Verdict(STALE, last, f"the last review, {last.address}, is of the files at {last.head[:12]}")
    return Verdict(STALE, last, f"the last review, {last.address}, is of what came after {last.base[:12]}")


def counts(question: Question, review: Review, *, exceptions: bool = True) -> bool:
    """Whether a review lets its own change go by the question's policy and reviewer, whatever it is bound to."""
    lets_go = review.state == PASSED or (exceptions and review.state == BYPASSED)
    return lets_go and _why_not(question, review) is None


def _why_not(question: Question, review: Review) -> str | None:
    """Why a review of this base and tree does not count, None if it does."""
    if review.bypass is None and review.policy != (question.policy or NONE):
        return f"the policy has changed since {review.address}"
    if review.status == "done" and not review.own:
        return f"{review.address} was answered by hand (git relay res), not by a reviewer that gitrelay ran"
    if review.bypass is None and question.reviewer is not None and review.reviewer != question.reviewer:
        return f"{review.address} is by {review.reviewer}; the reviewer here is {question.reviewer}"
    return None


def _words(review: Review) -> str:
    at = f"({review.address})"
    if review.state == BYPASSED:
        return f"let through by {review.reviewer}: {review.bypass} {at}"
    if review.state == FAILED and review.verify != "fail":
        return f"{review.reviewer} says pass, but the check fails: {', '.join(review.failed_checks)} {at}"
    return {
        PASSED: f"{review.reviewer} says pass {at}",
        FAILED: f"{review.reviewer} says fail {at}",
        RUNNING: f"{review.reviewer} reviews it {at}",
        UNEVALUATED: f"{review.reviewer} gave no verdict: {review.reason or 'neither pass nor fail'} {at}",
    }[review.state]


def joined(last: Verdict, before: Verdict) -> Verdict:
    """The verdict on two steps one after the other, each of which may be pushed."""
    assert last.lets_go and before.lets_go and before.review is not None
    state = BYPASSED if BYPASSED in (last.state, before.state) else PASSED
    return replace(last, state=state, through=(*last.through, before.review, *before.through))
