"""When a loop goes on and when it stops: random builders, reviewers and checks, and what a reviewer's words come to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gitrelay.history import findings
from gitrelay.history.findings import Finding, blocking, normalised, of_review, parse, parse_changed
from gitrelay.history.rounds import Call, End, Round, Terms, open_findings
from gitrelay.loops.rules import TRIES, Step, is_stuck, next_step
from support.soak import dice, rounds

CHECK = "pytest -q"


class World:
    """Random peers: what a call of theirs comes to. `calls` counts the ones that are paid."""

    def __init__(self, chance: random.Random, terms: Terms) -> None:
        self.chance, self.terms = chance, terms
        self.tree = 0
        self.calls = 0
        self.stubborn = chance.random() < 0.2  # a reviewer that always finds something new
        self.failing = chance.random()
        self.silent = chance.random() * 0.3

    def build(self, number: int) -> Call:
        self.calls += 1
        before = self.tree
        if self.chance.random() < self.silent:
            return Call(f"s/{self.calls}", "error", reason=self.chance.choice(["quota", "lost", "timeout", "budget"]))
        self.tree += self.chance.random() < 0.9
        word = "fail (exit 1)" if self.chance.random() < self.failing else "pass"
        printed = f"E {self.chance.randint(1, 3)}" if word != "pass" else ""
        checks = {c: (word, printed) for c in self.terms.checks}
        return Call(f"s/{self.calls}", "done", before=f"t{before}", after=f"t{self.tree}", checks=checks)

    def review(self, number: int) -> Call:
        self.calls += 1
        if self.chance.random() < self.silent:
            return Call(f"r/{self.calls}", "error", reason="quota")
        count = 1 if self.stubborn else self.chance.randint(0, 2)
        named = f"{self.calls}" if self.stubborn else str(self.chance.randint(1, 4))
        severity = "major" if self.stubborn else self.chance.choice(findings.SEVERITIES)
        found = tuple(Finding(f"{named}{i}", severity, "", 0, "wrong") for i in range(count))
        return Call(f"r/{self.calls}", "done", verify="fail" if found else "pass", findings=found)


def play(world: World, terms: Terms) -> tuple[Step, list[Round]]:
    """Take the steps of a loop until it ends."""
    done: list[Round] = []
    for _ in range(1000):
        step = next_step(terms, done)
        if step.kind == "end":
            return step, done
        if step.kind == "build":
            if not done or done[-1].number < step.round:
                assert step.round == len(done) + 1
                done.append(Round(step.round))
            done[-1] = replace(done[-1], builds=(*done[-1].builds, world.build(step.round)), changed={})
        else:
            assert step.kind == "review" and terms.review
            done[-1] = replace(done[-1], reviews=(*done[-1].reviews, world.review(step.round)))
    raise AssertionError("it does not end")


def test_every_loop_ends_within_its_caps_with_the_right_word() -> None:
    chance = dice("loops")
    ends: dict[End, int] = {}
    for _ in range(1000):
        checks = (CHECK,) if chance.random() < 0.8 else ()
        terms = Terms("b", checks, "r" if chance.random() < 0.6 or not checks else None, chance.randint(1, 6))
        world = World(chance, terms)
        step, done = play(world, terms)
        assert step.end is not None and len(done) <= terms.rounds
        ends[step.end] = ends.get(step.end, 0) + 1
        last = done[-1]
        build = last.builds[-1]
        review = last.reviews[-1] if last.reviews else None
        lost = sum(c.reason == "lost" for one in done for c in (*one.builds, *one.reviews))
        assert world.calls <= terms.rounds * 2 * TRIES + lost
        failed = any(word != "pass" for word, _ in build.checks.values())
        if step.end == End.PASSED:
            assert not failed and (terms.review is None or (review is not None and not open_findings(done)))
        elif step.end == End.ROUNDS:
            assert len(done) == terms.rounds and (failed or open_findings(done))
        elif step.end == End.UNCHANGED:
            assert last.before == last.after or last.after in {one.after for one in done[:-1]}
        elif step.end == End.STUCK:
            assert is_stuck(done) and len(done) > 1
        else:
            assert (review or build).status == "error" and (review or build).reason == (step.call or build).reason
            assert (step.end == End.BUDGET) == ((step.call or build).reason == "budget")
    assert set(ends) == set(End), ends


def test_a_reviewer_that_always_finds_something_stops_at_the_cap() -> None:
    terms = Terms("b", (), "r", rounds(5, 50))
    world = World(dice("stubborn"), terms)
    world.stubborn, world.silent = True, 0.0
    done: list[Round] = []
    while (step := next_step(terms, done)).kind != "end":
        if step.kind == "build":
            world.tree += 1
            call = Call("s", "done", before=f"t{world.tree - 1}", after=f"t{world.tree}")
            done.append(Round(step.round, (call,), changed={}))
        else:
            done[-1] = replace(done[-1], reviews=(world.review(step.round),))
    assert (step.end, len(done)) == (End.ROUNDS, terms.rounds)


def rounds_of(*reviews: Sequence[Finding], changed: findings.Changed | None = None) -> list[Round]:
    return [
        Round(
            n,
            (Call(f"s/{n}", "done", before=f"t{n - 1}", after=f"t{n}"),),
            (Call(f"r/{n}", "done", verify="fail", findings=tuple(found)),),
            changed if changed is not None else {},
        )
        for n, found in enumerate(reviews, 1)
    ]


def test_the_same_finding_comes_back_twice_and_a_person_decides() -> None:
    same = Finding("aaaaaa", "major", "", 0, "wrong")
    other = Finding("bbbbbb", "major", "", 0, "wrong too")
    terms = Terms("b", (), "r", 9)
    assert next_step(terms, rounds_of([same], [same])) == Step("build", 3)
    assert next_step(terms, rounds_of([same], [same], [same])).end == End.STUCK
    assert next_step(terms, rounds_of([same], [other], [same])) == Step("build", 4)
    assert next_step(terms, rounds_of([same], [other], [same], [same])).end == End.STUCK


def test_a_check_that_fails_twice_with_the_same_words_is_stuck() -> None:
    def build(n: int, output: str) -> Round:
        checks = {CHECK: ("fail (exit 1)", output)}
        return Round(n, (Call(f"s/{n}", "done", before=f"t{n - 1}", after=f"t{n}", checks=checks),))

    terms = Terms("b", (CHECK,), None, 9)
    assert next_step(terms, [build(1, "E 1"), build(2, "E 1")]).end == End.STUCK
    assert next_step(terms, [build(1, "E 1"), build(2, "E 2")]) == Step("build", 3)
    assert next_step(terms, [build(1, ""), build(2, "")]) == Step("build", 3)  # nothing printed tells nothing
    one, two = ("1 failed in 0.21s at 0x7f00a1, 12:01:02", "1 failed in 11.3s at 0x55aa, 09:59:59")
    assert normalised(one) == normalised(two) and normalised("1 failed") != normalised("2 failed")


def test_a_question_waits_and_its_answer_goes_on() -> None:
    asks = Call("s/1", "error", reason="needs-input", asks=True)
    terms = Terms("b", (CHECK,), None, 3)
    assert next_step(terms, [Round(1, (asks,))]).kind == "ask"
    answered = Call("s/2", "done", before="t0", after="t1", checks={CHECK: ("pass", "")})
    assert next_step(terms, [Round(1, (asks, answered))]).end == End.PASSED


def test_lost_checks_are_run_again_and_a_cancelled_call_ends_the_loop() -> None:
    terms = Terms("b", (CHECK,), None, 3)
    lost = Call("s/1", "done", checks={CHECK: ("lost", "")}, lost_checks=1)
    assert next_step(terms, [Round(1, (lost,))]).checks == (CHECK,)
    assert next_step(terms, [Round(1, (Call("s/1", "pending"),))]).kind == "wait"
    assert next_step(terms, [Round(1, (Call("s/1", "error", reason="cancelled"),))]).end == End.NO_ANSWER


def test_a_tree_that_has_a_verdict_is_not_reviewed_again() -> None:
    terms = Terms("b", (CHECK,), "r", 5)
    found = Finding("aaaaaa", "major", "", 0, "wrong")
    review = (Call("r/1", "done", verify="fail", findings=(found,)),)
    ok = {CHECK: ("pass", "")}
    first = Round(1, (Call("s/1", "done", before="t0", after="t1", checks=ok),), review)
    bad = {CHECK: ("fail (exit 1)", "x")}
    second = Round(2, (Call("s/2", "done", before="t1", after="t2", checks=bad),), changed={})
    back = Round(3, (Call("s/3", "done", before="t2", after="t1", checks=ok),), changed={})
    assert next_step(terms, [first, second, back]).end == End.UNCHANGED


# -- findings --------------------------------------------------------------------------------------


def test_findings_are_read_from_lines() -> None:
    body = (
        "I looked.\n\n- [blocker] src/a.py:12 it breaks\n* **[MAJOR]** `b.c:3-9`: leaks\n1. [minor] typo\n"
        "- [major] #aaaaaa Makefile:2 wrong\n- [nit] not one\n"
    )
    found = parse(body, ["aaaaaa"])
    assert [(f.severity, f.path, f.line, f.text) for f in found] == [
        ("blocker", "src/a.py", 12, "it breaks"),
        ("major", "b.c", 3, "leaks"),
        ("minor", "", 0, "typo"),
        ("major", "Makefile", 2, "wrong"),
    ]
    assert found[3].id == "aaaaaa" and parse(body)[3].id != "aaaaaa"  # an id that nobody gave counts for nothing
    again = parse("- [blocker] src/a.py:99 it breaks")[0]
    assert again.id == found[0].id  # the line moved
    (whole,) = of_review("It does not work.\nMore.", "fail")
    assert (whole.severity, whole.text) == ("blocker", "It does not work.")
    assert of_review("Fine.", "pass") == ()


@pytest.mark.parametrize(
    ("finding", "earlier", "blocks"),
    [
        (Finding("a", "minor", "x.py", 5, ""), [], False),
        (Finding("a", "major", "x.py", 5, ""), [], True),
        (Finding("a", "major", "x.py", 6, ""), [], False),
        (Finding("a", "major", "x.py", 6, ""), ["a"], True),
        (Finding("a", "blocker", "y.py", 5, ""), [], False),
        (Finding("a", "blocker", "", 0, ""), [], True),
        (Finding("a", "major", "./x.py", 0, ""), [], True),
    ],
)
def test_later_only_what_was_changed_or_is_open_blocks(finding: Finding, earlier: list[str], blocks: bool) -> None:
    assert bool(blocking([finding], earlier, {"x.py": [(4, 5)]})) is blocks
    assert bool(blocking([finding], [], None)) is (finding.severity != "minor")


def test_changed_lines_are_read_from_a_diff() -> None:
    diff = "--- x.py\n+++ x.py\n@@ -1 +1,2 @@\n-a\n+b\n+c\n@@ -9,2 +10,0 @@\n-d\n-e\n"
    diff += "--- /dev/null\n+++ new.py\n@@ -0,0 +1 @@\n+f\n"
    assert parse_changed(diff) == {"x.py": [(1, 2), (10, 11)], "new.py": [(1, 1)]}


def test_terms_survive_their_trailer() -> None:
    terms = Terms("b", ("a", "ü 'x'"), "r", 4, ("2usd",), True, "m", "5m", False)
    assert Terms.from_json(terms.to_json()) == terms
    assert Terms.from_json(Terms("b", ("x",)).to_json()) == Terms("b", ("x",))
    for text in ("", "[]", "{}", '{"build": 1}', "passed", "[" * 9999):
        assert Terms.from_json(text) is None
