"""What is taken for the answer of a peer that was asked, in words, to end with a response file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitrelay.peers.base import FinalWords, Invocation, written_lead
from gitrelay.protocol.frontmatter import MAX_BYTES
from gitrelay.protocol.message import Request

REQUEST = Request("02", "uma", "gemini", "Quote:\n\n  re: 77\n  from: x\n  to: y\n", "s")
CALL = Invocation(REQUEST.render().decode(), Path("/"), Path("/"), "write")


def file(body: str = "Fine.", **changed: str) -> str:
    fields = {"relay": "4", "re": "02", "from": "gemini", "to": "uma", "status": "done", "verify": "pass"} | changed
    return "---\n" + "".join(f"{k}: {v}\n" for k, v in fields.items()) + f"---\n\n{body}\n"


def said(*parts: str | None) -> FinalWords:
    """The words in the order they came; None is a tool call."""
    words = FinalWords(CALL)
    for part in parts:
        if part is None:
            words.use_tool()
        else:
            words.say(part)
    return words


def test_the_lead_shows_the_lines_to_begin_with() -> None:
    lead = written_lead(CALL)
    assert (
        "\n\n---\nrelay: 4\nre: 02\nfrom: gemini\nto: uma\nstatus: done | error\nverify: pass | fail | skip\n---"
        in lead
    )


@pytest.mark.parametrize(
    ("parts", "verify", "body"),
    [
        ([file()], "pass", "Fine."),
        ([file()[:20], file()[20:]], "pass", "Fine."),
        (["I look.", None, file()], "pass", "Fine."),
        ([file(), None, "\n"], "pass", "Fine."),
        (["\n\n" + file()], "pass", "Fine."),
        ([f"```\n{file()}```"], "pass", "Fine."),
        (["Here:\n````md\n" + file("```\nx\n```") + "````\n"], "pass", "Here:\n\n```\nx\n```"),
        ([f"Here:\n{file(verify='fail')}"], "fail", "Here:\n\nFine."),
        ([file("Turn 01 said:\n\n" + file("No.", re="01", verify="fail"))], "pass", None),
        (["Words."], "skip", "Words."),
        (["One.", None, "Two."], "skip", "Two."),
        ([f"Turn 01 said:\n{file(re='01', verify='fail')}"], "skip", None),
        ([f"Quoted:\n{file(**{'re': '77', 'from': 'x', 'to': 'y'})}"], "skip", None),
        (["a \ud800 lone surrogate"], "skip", "a ? lone surrogate"),
    ],
)
def test_an_answer(parts: list[str | None], verify: str, body: str | None) -> None:
    answer, fault = said(*parts).answer()
    assert fault == "" and answer is not None
    assert answer.verify == verify
    assert body is None or answer.body == body


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], ""),
        (["  \n"], ""),
        (["I look.", None], ""),
        ([file(verify="maybe")], "verify: 'maybe'"),
        (["\n" + file(verify="maybe")], "verify: 'maybe'"),
        ([file("")], "the body is empty"),
        (["a\0b"], "a NUL byte"),
        (["x" * MAX_BYTES, "x"], "characters; a message has at most"),
    ],
)
def test_none(parts: list[str | None], words: str) -> None:
    answer, fault = said(*parts).answer()
    assert answer is None
    assert words in fault if words else fault == ""
