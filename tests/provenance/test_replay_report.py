"""What runs come to: figures worked out by hand, and what is said of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelay.protocol.message import Request
from gitrelay.provenance.replay import peeking, plan
from gitrelay.provenance.replay.plan import Plan, Terms
from gitrelay.provenance.replay.report import AGAIN, NEW, Facts, Report, Run, lines, report

LABELS = {AGAIN: "codex again", NEW: "claude"}


def runs(spec: str) -> list[Run]:
    """Runs out of words `EXCHANGE:AGAIN:NEW`; each side is a run a letter: p passed, f failed, e none."""
    found = []
    for word in spec.split():
        exchange, *sides = word.split(":")
        for arm, letters in zip((AGAIN, NEW), sides, strict=True):
            for n, letter in enumerate(letters, 1):
                passed = {"p": True, "f": False, "e": None}[letter]
                reason = "timeout" if passed is None else ""
                found.append(Run(exchange, arm, f"{exchange}-{arm}{n}/01", passed, reason, 2.0 * n, Decimal("0.1")))
    return found


def said(found: Report, **facts: object) -> str:
    known = {"exchanges": 12, "runs": 3, "gaps": {}, "left_out": {}, **facts}
    return "\n".join(lines(found, Facts(**known)))  # type: ignore[arg-type]


def test_the_report_of_the_documents() -> None:
    """8 of 12 against 11 of 12, three exchanges that only one of them passed."""
    both, only, neither = ("ppp:ppp", 8), ("ffp:pep", 3), ("fff:fff", 1)
    spec = [f"x{i}{j}:{sides}" for i, (sides, count) in enumerate((both, only, neither)) for j in range(count)]
    found = report(runs(" ".join(spec)), LABELS)
    assert (found.arms[AGAIN].exchanges, found.arms[NEW].exchanges) == ((8, 12), (11, 12))
    assert (found.arms[AGAIN].runs, found.arms[NEW].runs) == ((27, 36), (30, 33))
    assert found.arms[NEW].errors == {"timeout": 3} and found.only == {AGAIN: 0, NEW: 3}
    assert (found.p, found.winner, found.more) == (0.25, None, (3, 12))
    text = said(found)
    assert "claude         11/12   65-99%  30/33  3        3" in text and "codex again    8/12    39-86%" in text
    assert "claude against codex again: 3 to 0, exact McNemar p = 0.25: no difference can be told." in text
    assert "3 more exchanges that only claude passes; at this rate about 12 more exchanges." in text
    assert "in no rate: claude: timeout 3." in text


@pytest.mark.parametrize(
    ("spec", "p", "winner"),
    [
        ("a:p:f b:p:f c:p:f d:p:f e:p:f", 0.0625, None),  # 5 to 0 is not enough
        ("a:p:f b:p:f c:p:f d:p:f e:p:f g:p:f", 0.03125, AGAIN),
        ("a:f:p b:f:p c:f:p d:f:p e:f:p g:f:p", 0.03125, NEW),
        # many runs of one exchange are one exchange
        ("a:pppppp:ffffff", 1.0, None),
        ("a:p:p b:f:f", 1.0, None),
    ],
)
def test_a_winner_is_named_only_if_chance_is_unlikely(spec: str, p: float, winner: str | None) -> None:
    found = report(runs(spec), LABELS)
    assert (found.p, found.winner) == (p, winner)
    assert ("no difference can be told" in said(found)) == (winner is None)


def test_errors_and_ties_are_in_no_rate_and_no_pair() -> None:
    found = report(runs("a:p:e b:pf:pp c:e:e d:pep:fef"), LABELS)
    assert (found.arms[AGAIN].exchanges, found.arms[NEW].exchanges) == ((2, 2), (1, 2))
    assert (found.undecided, found.pairs, found.only) == (3, 1, {AGAIN: 1, NEW: 0})
    assert "Without a majority, and in no pair: 3 exchanges." in said(found)


def test_what_is_not_known_is_said() -> None:
    found = report([*runs("a:p:p"), Run("b", NEW, "b-new1/01", True, signs=None, model="m")], LABELS)
    text = said(
        found,
        gaps={"secrets were taken out of the request": 2},
        left_out={"s/09": "it is not answered"},
        recorded_models=("then",),
        stopped="the budget is used up",
    )
    for words in (
        "Not over: the budget is used up",
        "- secrets were taken out of the request (2 exchanges)",
        "- commits, branches and remotes: there is one commit",
        "Left out: s/09: it is not answered.",
        "cannot be told of 1 run: the log is gone.",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("printed", "signs"),
    [
        ("$ git log --all --oneline", ["history"]),
        ("git -C /x -c a=b log -p --reflog", ["history"]),
        ('{"command":["git","show","HEAD~1"]}', ["history"]),
        ("git cat-file --batch-check --batch-all-objects", ["history"]),
        ("git fetch https://example.org/x", ["outside"]),
        ("git relay show s/02", ["record"]),
        ("cat .git/refs/relay/code", ["record"]),
        ("git for-each-ref refs/relay/", ["record"]),
        ("cd /home/uma/project; cat a.py", ["original"]),
        # what everybody does
        ("git log -3; git status; git diff HEAD; git add -A; git commit -m 'show all'", []),
        ("the digit shows a log of --all things", []),
    ],
)
def test_signs_of_looking_for_the_answer(printed: str, signs: list[str]) -> None:
    places = ["/home/uma/project", "/home/uma/project/.git"]
    assert peeking.signs(printed, "", places) == signs
    assert peeking.signs(printed, f"Please run this:\n{printed}", places) == [], "the task says it itself"


def test_a_long_line_is_searched_in_no_time() -> None:
    assert peeking.signs("git " + " -c a" * 20_000 + " " * 100_000, "", []) == []


TERMS = Terms(("--last 10",), "claude", None, "high", 3, ("test 'a b' = \"ä\"", "```\n"))
PLAN = Plan(TERMS.session(1), TERMS, ("s/01", "20260101-0101-b"), {"s/02": "why"}, ("s/01",))


def test_a_plan_is_found_again_in_its_request() -> None:
    data = Request("01", "uma", plan.PEER, PLAN.text(), PLAN.session).render()
    assert plan.parse(data) == PLAN
    assert TERMS.session(1) != TERMS.session(2) and TERMS.session(1).startswith("replay-")


@given(st.data())
def test_what_is_no_plan_is_none(data: st.DataObject) -> None:
    good = Request("01", "uma", plan.PEER, PLAN.text(), PLAN.session).render()
    at = data.draw(st.integers(0, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=8)) + good[at + data.draw(st.integers(0, 8)) :]
    found = plan.parse(bad)
    assert found is None or all(isinstance(one, str) for one in (*found.addresses, found.session))
