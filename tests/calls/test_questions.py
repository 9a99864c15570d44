"""A question that a peer asks back, and its answer: the next turn, made with what the call was made with."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from gitrelay.peers.answers import ANSWER_SCHEMA, STRICT_SCHEMA, Said
from gitrelay.peers.base import Invocation
from gitrelay.peers.responses import Address
from gitrelay.protocol import question
from gitrelay.protocol.message import Request, structured
from gitrelay.protocol.question import Question, in_body
from support.repo import Repo
from support.terminal import on_terminal

# asks until its prompt has the word Postgres; says with which access and model it was asked
ASKER = """\
import re, sys
prompt = sys.stdin.read()
to = dict(re.findall(r"^  (re|from|to): (\\S+)$", prompt, re.M))
asks = "Postgres" not in prompt
print(f"---\\nrelay: 4\\nre: {to['re']}\\nfrom: {to['from']}\\nto: {to['to']}")
if asks:
    print("status: error\\nverify: skip\\nreason: needs-input\\n---\\n\\nWhich database?\\n\\n- Postgres\\n- SQLite")
else:
    print(f"status: done\\nverify: pass\\n---\\n\\nasked with {' '.join(sys.argv[1:])}")
"""


@pytest.fixture
def asker(repo: Repo) -> Repo:
    place = repo.path.parent / "asker.py"
    place.write_text(ASKER)
    words = f"{shlex.quote(sys.executable)} {shlex.quote(str(place))} {{access}} {{model}}"
    repo.git("config", "relay.asker.command", words)
    return repo


def test_a_question_is_answered_once_with_what_the_call_was_made_with(asker: Repo) -> None:
    asked = ("--to", "asker", "--session", "s", "--access", "read", "--model", "m-1", "--check", "test -e app.py")
    done = asker.relay("req", *asked, "--no-questions", "Choose.", "--json")
    assert done.code == 3
    data, (error,) = done.json["data"], done.json["errors"]
    assert (data["question"], data["options"]) == ("Which database?", ["Postgres", "SQLite"])
    assert error["code"] == "needs-input" and error["hint"] == "git relay answer s/01 TEXT or --option N"
    assert "Ask nothing back" in asker.git("show", "relay/s:01.req.md")
    waiting = asker.relay("ls", "--questions", "--json").json["data"]
    assert [(e["address"], e["options"]) for e in waiting] == [("s/01", ["Postgres", "SQLite"])]

    done = asker.relay("answer", "s/01", "--option", "3", "--json")
    assert (done.code, done.json["errors"][0]["code"]) == (2, "no-option")
    done = asker.relay("answer", "s/01", "--option", "1", "--json")
    assert done.code == 0, done.err
    data = done.json["data"]
    assert (data["address"], data["body"], data["access"]) == ("s/02", "asked with read m-1", "read")
    assert [c["command"] for c in data["checks"]] == ["test -e app.py"]
    again = asker.relay("answer", "s/01", "--option", "1", "--json").json["data"]
    assert again["replayed"] and again["response_commit"] == data["response_commit"]
    done = asker.relay("answer", "s/01", "SQLite", "--json")
    assert (done.code, done.json["errors"][0]["code"]) == (2, "answered")
    done = asker.relay("answer", "s/02", "Postgres", "--json")
    assert (done.code, done.json["errors"][0]["code"]) == (2, "no-question")
    assert asker.relay("ls", "--questions", "--json").json["data"] == []
    assert asker.relay("fsck").code == 0


def test_a_person_at_the_terminal_is_asked_there_and_then(asker: Repo) -> None:
    with on_terminal(asker, "req", "--to", "asker", "--name", "choose", "Choose.", columns=120, rows=90) as terminal:
        assert terminal.shows("2. SQLite") and terminal.shows("Your answer")
        terminal.type("2\n")
        assert terminal.shows(lambda text: text.count("Your answer") == 2), terminal.text
        terminal.type("Postgres, of course.\n")
        assert terminal.end() == 0
        assert "asked with write" in terminal.text
    (session,) = {row["session"] for row in asker.relay("ls", "--json").json["data"]}
    turns = asker.relay("log", session, "--reverse", "--json").json["data"]
    assert [turn["outcome"] for turn in turns] == ["error:needs-input", "error:needs-input", "pass"]


def test_a_nested_calls_question_reaches_the_outer_call(asker: Repo) -> None:
    """The outer peer gets the question as the answer of its own call, and may answer it later."""
    inner = f"{shlex.quote(sys.executable)} -P -m gitrelay"
    done = asker.relay("req", "--to", "shell", "--session", "outer", f"{inner} req --to asker --session in 'Choose.'")
    assert done.code == 1 and "reason: needs-input" in done.out and "git relay answer in/01" in done.out
    done = asker.relay("req", "--to", "shell", "--session", "outer", f"{inner} answer in/01 Postgres")
    assert done.code == 0 and "asked with write" in done.out


# -- the forms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text", "options"),
    [
        ("Which?", "Which?", ()),
        ("Which\none?\n\n- a\n- b\n\nI looked.", "Which one?", ("a", "b")),
        ("Which?\n1. a\n2) b", "Which?", ("a", "b")),
        ("Which?\n\nI looked at:\n\n- a file", "Which?", ()),
        ("Which?\n\n" + "\n".join(f"* {i}" for i in range(9)), "Which?", tuple("012345")),
        ("- a\n- b", "- a", ("b",)),
        ("", "", ()),
    ],
)
def test_the_question_and_its_options_are_read_from_the_body(body: str, text: str, options: tuple[str, ...]) -> None:
    assert in_body(body) == Question(text, options)


def test_the_fields_of_a_structured_answer_become_the_body() -> None:
    asks = {"status": "error", "verify": "skip", "reason": "needs-input"}
    value = asks | {"body": "I looked.", "question": "Which\none?", "options": ["a", "b"]}
    body = structured(value)[2]
    assert body == "Which one?\n\n- a\n- b\n\nI looked."
    assert structured(value | {"body": body})[2] == body  # nothing is said twice
    assert structured(asks | {"question": "Which?", "options": None})[2] == "Which?"
    assert structured(asks | {"body": "", "question": {"text": "Which?", "options": ["a"]}})[2] == "Which?\n\n- a"
    many = structured(asks | {"body": "", "question": "Which?", "options": [str(i) for i in range(9)] + [7, ""]})
    assert len(in_body(many[2]).options) == question.MOST_OPTIONS
    # without the reason, and for an answer that is done, the fields say nothing
    assert structured({"status": "done", "verify": "pass", "body": "Fine.", "question": "Which?"})[2] == "Fine."
    assert structured(value | {"reason": None})[2] == "I looked."


def test_a_structured_question_is_an_answer_with_its_reason() -> None:
    call = Invocation(Request("02", "uma", "codex", "Choose.", "s").render().decode(), Path("/"), Path("/"), "write")
    said = Said(Address.of(call))
    value = {"status": "error", "verify": "skip", "body": "", "reason": "needs-input", "question": "Which?"}
    said.say(json.dumps(value | {"options": ["a"]}))
    answer, fault = said.answer(in_words=False)
    assert answer is not None and not fault
    assert (answer.status, answer.reason, answer.body) == ("error", "needs-input", "Which?\n\n- a")


def test_the_strict_form_asks_for_every_field_and_allows_none_where_one_is_left_out() -> None:
    assert STRICT_SCHEMA["required"] == list(STRICT_SCHEMA["properties"])
    for name in set(STRICT_SCHEMA["required"]) - set(ANSWER_SCHEMA["required"]):
        assert "null" in STRICT_SCHEMA["properties"][name]["type"]
