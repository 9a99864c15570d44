"""A record of everything that the site draws: diffs, checks, a loop, attempts, questions."""

from __future__ import annotations

import json

from support.recorded import Recorder

AT = 1_790_000_000
USAGE = {"Relay-Usage": "input=1000 output=50 cost_usd=0.12"}


def written() -> Recorder:
    history = Recorder()
    s = history.session("diffs", "uma", at=AT)
    files = {"a.py": "def a():\n    return 1\n", "b.md": "one\n"}
    table = "| a | b |\n|---|--:|\n| [x](https://example.invalid) | 2 |"
    body = f"Done in `a.py:2`.\n\n```python\ndef a(): ...\n```\n\n{table}"
    s.ask("uma", "codex", "# Change it\n\n- [ ] all of it", files)
    s.answer(body, files={**files, "a.py": "def a():\n    return 2\n", "c.txt": "new\n"}, trailers=USAGE)
    s.check("pytest -q", "fail (exit 1)", "1 failed").check("ruff", output="fine")
    s.ask("uma", "codex", "Again").answer("", "error", "skip", reason="timeout")
    s.ask("uma", "codex", "And again")

    s = history.session("work", "uma", at=AT)
    terms = json.dumps({"build": "codex", "checks": ["pytest"], "review": "claude", "rounds": 3})
    for number in (1, 2):
        key = {"Relay-Key": f"loop work/01 r{number} build 1", "Relay-Round": str(number)}
        s.ask("uma", "codex", "Build it.", files, key | ({"Relay-Loop": terms} if number == 1 else {}))
        s.answer("Built.", verify="skip", files={"a.py": f"n = {number}\n"}, trailers=USAGE).check("pytest")
    s.ask("uma", "loop", "How did it end?").answer("It ended.", trailers={"Relay-Loop": "passed"})
    s = history.session("work-review", "uma", at=AT)
    for number, (verify, text) in enumerate((("fail", "- [major] a.py:1 wrong"), ("pass", "No findings.")), 1):
        s.ask("uma", "claude", "Review it.", trailers={"Relay-Key": f"loop work/01 r{number} review 1"})
        s.answer(text, verify=verify)

    question = "Which one?\n\n- Postgres\n- SQLite"
    s = history.session("asks", "uma", at=AT + 50)
    s.ask("uma", "codex", "Move it").answer(
        question, "error", "skip", reason="needs-input", trailers={"Relay-Recorded": "peer"}
    )
    s.ask("uma", "codex", "SQLite\n\n(This answers it.)", trailers={"Relay-Key": "answer asks/01"}).answer("Moved.")
    s.ask("uma", "codex", "More").answer(
        question, "error", "skip", reason="needs-input", trailers={"Relay-Recorded": "peer"}
    )

    for name in ("both-one", "both-two"):
        s = history.session(name, "uma", at=AT)
        s.ask("uma", name[5:], "Try it", files).answer("Tried.", files={"a.py": f"# {name}\n"}).check("pytest")
    s = history.session("both", "uma", at=AT + 100)
    says = {"Relay-Attempts": "both-one/01 both-two/01", "Relay-Picked": "both-two/01 smallest: 1 line"}
    s.ask("uma", "gitrelay", "Try it").answer("Two.", trailers=says)
    return history
