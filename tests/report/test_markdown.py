"""Messages as HTML: rules of the parser that cannot apply to a text are left out, and the HTML stays the same."""

from __future__ import annotations

import random

from gitrelay.report import markdown

LINES = (
    "a|- x|1. y|---|===|= |> q|a:-|```|~~~|    code|||[x]: http://e.x|[x]|# h|*e*|`c`|  - n|<b>|&amp;|~~s~~|:--|-|=  |"
    "\t- t|   ===|\\| a \\| b \\||\\|---\\|---\\||--\\|--|<div>|![i](u)"
).replace("\\|", "\0")


def test_a_rule_that_is_left_out_would_have_changed_nothing() -> None:
    lines = [line.replace("\0", "|") for line in LINES.split("|")]
    every_rule = markdown._parser.__wrapped__().enable(["html_block", "html_inline"])
    seen = set()
    chance = random.Random(7)
    for i in range(800):
        some = lines if i % 2 else chance.sample(lines, 8)
        text = "\n".join(chance.choices(some, k=chance.randint(1, 12)))
        idle = frozenset(rule for rule, sign in markdown._SIGNS.items() if not sign.search(text))
        seen.add(idle)
        assert markdown._parser(idle).render(text) == every_rule.render(text), text
    assert len(seen) > 8, "most sets of rules were tried"
