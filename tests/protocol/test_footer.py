"""The Reply block: its default is the protocol's, and no template that is taken loses the task or the address."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelay.protocol.footer import TEMPLATE, Form, fault_of_pattern, fault_of_template
from gitrelay.protocol.message import Request, parse_request

# protocol v4, as the first release wrote it
SESSION = """\
---
relay: 4
id: 02
from: uma
to: codex
---

Do it.

---
Reply: .relay/s/02.res.md
Context: read all .md files in .relay/s/ in order first
Format:
  ---
  relay: 4
  re: 02
  from: codex
  to: uma
  status: done | error
  verify: pass | fail | skip
  ---
  {your response}
"""


def test_the_default_is_the_protocol_byte_for_byte() -> None:
    assert Request("02", "uma", "codex", "Do it.", "s").render().decode() == SESSION
    id_ = "20261126-0900-do-it"
    one_shot = SESSION.replace("id: 02", f"id: {id_}").replace("re: 02", f"re: {id_}")
    one_shot = re.sub("Reply: .*\nContext: .*\n", f"Reply: .relay/{id_}/{id_}.res.md\n", one_shot)
    assert Request(id_, "uma", "codex", "Do it.", id_).render().decode() == one_shot


def test_what_is_filled_in() -> None:
    form = Form(TEMPLATE + "Of {session}, {unknown} {to}: {{id}}\n", "## What\n## Why\n", ("pytest -q", "ruff check"))
    text = Request("02", "uma", "codex", "Do it.", "s", form).render().decode()
    assert "in order first\nVerify: run these before you answer\n  $ pytest -q\n  $ ruff check\nFormat:\n" in text
    assert text.endswith("  ---\n  ## What\n  ## Why\nOf s, {unknown} codex: {02}\n")


FAULTS = {
    "": 1,
    "Reply: {reply}\n": 1,
    "---\nAnswer: {reply}\n": 2,
    "---": 2,
    TEMPLATE.replace("{context}{verify}Format:", "Form:"): 12,
    TEMPLATE + "Format:\n": 13,
    TEMPLATE.replace("  re: {id}\n", ""): 3,
    TEMPLATE.replace("  to: {from}", "  to: somebody"): 3,
    TEMPLATE + "  to: somebody\n": 13,
    TEMPLATE + "---\nReply: again\n": 14,
}


@pytest.mark.parametrize(("template", "line"), FAULTS.items())
def test_the_line_at_fault_is_named(template: str, line: int) -> None:
    found = fault_of_template(template)
    assert found is not None and found[0] == line, found
    assert fault_of_template(TEMPLATE) is None


LINES = st.sampled_from([*TEMPLATE.splitlines(), "", "---", "Reply: x", "Format:", "  to: x", "words {id}", "{verify}"])


@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6), st.text(max_size=30))
def test_no_template_that_is_taken_loses_anything(before: list[str], after: list[str], pattern: str) -> None:
    """Templates near the default, with what could break it in them, and a task that looks like a request."""
    whole = TEMPLATE.splitlines()
    template = "\n".join([*whole[:3], *before, *whole[3:], *after])
    if fault_of_template(template) is not None or fault_of_pattern(pattern) is not None or "\r" in pattern:
        return
    request = Request("02", "uma", "codex", SESSION, "s", Form(template, "".join(filter(str.isprintable, pattern))))
    assert parse_request(request.render(), "s") == request
    text = request.render().decode()
    fields = dict(re.findall(r"^  (re|from|to): (\S+)$", text, re.MULTILINE))
    assert fields == {"re": "02", "from": "codex", "to": "uma"}
    assert text.rpartition("\nFormat:\n")[2].count("  re: 02\n") == 1


@pytest.mark.parametrize("pattern", ["x\nto: me", "  re: 01", "Format:"])
def test_a_pattern_is_no_address(pattern: str) -> None:
    assert fault_of_pattern(pattern) is not None and fault_of_pattern("## To: do\nfrom here on") is None
