"""The readers of gemini's and opencode's events, fed with what no good program prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitrelay.peers import gemini, opencode
from gitrelay.peers.base import Invocation, Transcript
from gitrelay.peers.registry import BUILT_IN
from gitrelay.protocol.message import Request

Event = dict[str, Any]
GARBAGE: tuple[object, ...] = (
    None,
    7,
    "text",
    [1],
    {},
    {"type": None},
    {"type": {"a": 1}, "part": [], "sessionID": 7},
    {"type": "message", "role": "assistant", "content": {"no": "text"}},
    {"type": "text", "part": "x"},
    {"type": "text", "part": {"text": 7}},
    {"type": "tool_use", "part": {"state": []}, "parameters": 7, "tool_name": None},
    {"type": "step_finish", "part": {"reason": "tool-calls", "tokens": [], "cost": "free"}},
    {"type": "step_finish", "part": {"reason": "tool-calls", "tokens": {"input": "many", "cache": 7}, "cost": True}},
    {"type": "init", "session_id": 7, "model": []},
)


def call(peer: str) -> Invocation:
    request = Request("01", "uma", peer, "Look.", "s")
    return Invocation(request.render().decode(), Path("/"), Path("/"), "write")


def file(peer: str) -> str:
    return f"---\nrelay: 4\nre: 01\nfrom: {peer}\nto: uma\nstatus: done\nverify: pass\n---\n\nFine.\n"


def words(peer: str, text: str) -> Event:
    if peer == "gemini":
        return {"type": "message", "role": "assistant", "content": text, "delta": True}
    return {"type": "text", "sessionID": "ses_1", "part": {"type": "text", "text": text}}


def end(peer: str, reason: str = "stop") -> Event:
    if peer == "gemini":
        stats = {"input_tokens": 10, "cached": 5, "output_tokens": 3, "models": {"a": {"total_tokens": 1}, "b": 7}}
        return {"type": "result", "status": "success" if reason == "stop" else "error", "stats": stats}
    tokens = {"input": 10, "output": 3, "cache": {"read": 5, "write": 0}}
    return {"type": "step_finish", "sessionID": "ses_1", "part": {"reason": reason, "tokens": tokens, "cost": 0.25}}


def read(peer: str, *events: object, raw: bytes = b"", code: int = 0) -> Transcript:
    reader = BUILT_IN[peer].reader(call(peer))
    for event in events:
        reader.feed(json.dumps(event).encode() + b"\n")
    reader.feed(raw)
    return reader.transcript(code)


@pytest.mark.parametrize("peer", ["gemini", "opencode"])
def test_garbage_is_passed_over(peer: str) -> None:
    found = read(peer, *GARBAGE, words(peer, file(peer)), end(peer), raw=b"\xff\0[[[[ not json\r\n\n")
    assert found.terminal and found.error is None and found.answer is not None
    assert (found.answer.verify, found.answer.body) == ("pass", "Fine.")
    total = "15" if peer == "opencode" else "10"  # it tells what is beside the cache
    assert (found.usage["input"], found.usage["cached"], found.usage["output"]) == (total, "5", "3")


@pytest.mark.parametrize("peer", ["gemini", "opencode"])
def test_the_last_line_may_have_no_end(peer: str) -> None:
    found = read(peer, words(peer, "Fine."), raw=json.dumps(end(peer)).encode())
    assert found.terminal and found.answer is not None and found.answer.plain


@pytest.mark.parametrize("peer", ["gemini", "opencode"])
def test_without_its_final_event_nothing_has_ended(peer: str) -> None:
    found = read(peer, words(peer, "Half an answer"))
    assert not found.terminal
    assert found.text.strip() == "Half an answer"


@pytest.mark.parametrize(
    ("peer", "events", "code", "reason"),
    [
        ("gemini", [words("gemini", "Half"), end("gemini", "error")], 1, "peer-failed"),
        ("gemini", [end("gemini", "error")], 173, "quota"),
        ("gemini", [end("gemini", "error")], 145, "auth"),
        ("gemini", [], 41, "auth"),
        ("gemini", [{"type": "error", "message": "Loop detected"}], 1, "peer-failed"),
        ("opencode", [words("opencode", "Half"), end("opencode", "length")], 0, "bad-output"),
        ("opencode", [end("opencode", "content-filter")], 0, "refused"),
        ("opencode", [{"type": "error", "error": {"name": "ProviderAuthError"}}], 1, "auth"),
        ("opencode", [{"type": "error", "error": {"name": "APIError", "data": {"statusCode": 402}}}], 1, "quota"),
        ("opencode", [{"type": "error", "error": []}], 1, "peer-failed"),
    ],
)
def test_an_error_has_its_reason(peer: str, events: list[Event], code: int, reason: str) -> None:
    found = read(peer, *events, code=code)
    assert found.error is not None and found.error[0] == reason
    assert found.answer is None


def test_a_cost_is_added_up_over_the_steps() -> None:
    found = read("opencode", end("opencode", "tool-calls"), words("opencode", "Fine."), end("opencode"))
    assert found.usage == {"input": "30", "cached": "10", "output": "6", "cost_usd": "0.500000"}


def test_events_read_as_short_lines() -> None:
    shell: Event = {"tool": "bash", "state": {"input": {"command": "pytest"}}}
    assert opencode.describe({"type": "tool_use", "part": shell}) == "bash: pytest"
    assert opencode.describe(words("opencode", "I look.")) == "says: I look."
    assert opencode.describe(end("opencode")) is None
    tool: Event = {"type": "tool_use", "tool_name": "read_file", "parameters": {"file_path": "a.py"}}
    assert gemini.describe(tool) == "read_file: a.py"
    assert gemini.describe(words("gemini", "I look.")) == "says: I look."
    assert gemini.describe(end("gemini")) is None
    for event in GARBAGE:
        if isinstance(event, dict):
            gemini.describe(event)
            opencode.describe(event)
