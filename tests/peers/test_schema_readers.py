"""The readers of claude's and codex's events, which are given a schema: what is their answer, and why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitrelay.peers.base import Invocation, Transcript
from gitrelay.peers.registry import BUILT_IN
from gitrelay.protocol.message import Request

Event = dict[str, Any]
VALUE: Event = {"status": "done", "verify": "fail", "body": "The answer."}
LIMIT = "You've hit your limit · resets 1am (Europe/Oslo)"
INIT: Event = {"type": "system", "subtype": "init", "session_id": "c-1", "model": "m", "claude_code_version": "2.1.329"}


def text(words: str, id_: str = "m1", model: str = "m", **more: Any) -> Event:
    return {
        "type": "assistant",
        "message": {"id": id_, "model": model, "content": [{"type": "text", "text": words}]},
        **more,
    }


def tool(name: str, given: object = None, id_: str = "m1") -> Event:
    block = {"type": "tool_use", "id": "t1", "name": name, "input": given}
    return {"type": "assistant", "message": {"id": id_, "model": "m", "content": [block]}}


def result(words: str | None = "", **more: Any) -> Event:
    return {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "result": words, **more}


def user(words: str) -> Event:
    return {"type": "user", "message": {"role": "user", "content": words}}


def item(kind: str, id_: str = "i1", event: str = "item.completed", **fields: Any) -> Event:
    return {"type": event, "item": {"id": id_, "type": kind, **fields}}


FAILS = result(None, subtype="error_during_execution", is_error=True, num_turns=0, errors=["only prompt commands"])
DONE: Event = {"type": "turn.completed", "usage": {"input_tokens": 1, "cached_input_tokens": 0, "output_tokens": 1}}
SAID = item("agent_message", text=json.dumps(VALUE))


def read(peer: str, *events: Event | str, code: int | None = 0) -> Transcript:
    """The transcript of these events; a text is a line as it is."""
    request = Request("01", "uma", peer, "Look.", "s")
    reader = BUILT_IN[peer].reader(Invocation(request.render().decode(), Path("/"), Path("/"), "write"))
    for event in events:
        reader.feed((event if isinstance(event, str) else json.dumps(event)).encode() + b"\n")
    return reader.transcript(code)


def stream(**event: Any) -> Event:
    return {"type": "stream_event", "event": event}


@pytest.mark.parametrize(
    ("peer", "events"),
    [
        ("claude", [result(structured_output=VALUE)]),
        ("claude", [result(structured_output=json.dumps(VALUE))]),
        ("claude", [text("Working."), result("Working.", structured_output=VALUE), FAILS]),
        ("claude", [FAILS, result(structured_output=VALUE)]),
        ("claude", [result(structured_output=VALUE), result(num_turns=0)]),
        ("claude", [result(structured_output=VALUE), result("I am done.")]),
        ("claude", [tool("StructuredOutput", VALUE), result(structured_output=None)]),
        ("claude", [tool("StructuredOutput", VALUE), text("Done.", "m2"), result("Done.")]),
        ("claude", [tool("StructuredOutput", VALUE), result(structured_output={**VALUE, "body": " "})]),
        ("claude", [tool("StructuredOutput", {**VALUE, "verify": "?"}), tool("StructuredOutput", VALUE), result()]),
        (
            "claude",
            [
                stream(
                    type="content_block_start", index=1, content_block={"type": "tool_use", "name": "StructuredOutput"}
                ),
                stream(type="content_block_delta", index=1, delta={"partial_json": json.dumps(VALUE)[:20]}),
                stream(type="content_block_delta", index=1, delta={"partial_json": json.dumps(VALUE)[20:]}),
                stream(type="content_block_stop", index=1),
                result(),
            ],
        ),
        ("claude", [result("I looked.\n```json\n" + json.dumps(VALUE) + "\n```")]),
        ("claude", [text(json.dumps(VALUE)[:30]), text(json.dumps(VALUE)[30:]), result(json.dumps(VALUE)[:30])]),
        ("claude", [text(json.dumps(VALUE)), {"type": "rate_limit_event", "rate_limit_info": {}}, result("")]),
        (
            "claude",
            [
                stream(type="message_start", message={"id": "m1"}),
                stream(type="content_block_delta", index=0, delta={"text": json.dumps(VALUE)[:20]}),
                stream(type="content_block_delta", index=0, delta={"text": json.dumps(VALUE)[20:]}),
                result(""),
            ],
        ),
        ("claude", ["Warning: a newer version is available" + json.dumps(result(structured_output=VALUE))]),
        ("claude", [text(LIMIT), result(LIMIT, structured_output=VALUE)]),
        ("claude", [text(LIMIT, model="<synthetic>"), result(structured_output=VALUE)]),
        ("codex", [SAID, DONE]),
        ("codex", [SAID, item("agent_message", "i2", text=""), DONE]),
        ("codex", [SAID, item("agent_message", "i2", text=" \n"), item("agent_message", "i3", text=""), DONE]),
        ("codex", [SAID, DONE, {"type": "turn.failed", "error": {"message": "late"}}]),
        ("codex", [SAID, DONE, {"type": "error", "message": "late"}]),
        (
            "codex",
            [item("agent_message", "i0", text="I look."), item("command_execution", "i1", command="ls"), SAID, DONE],
        ),
        (
            "codex",
            [
                item("agent_message", event="item.updated", text=json.dumps(VALUE)[:20]),
                item("agent_message", event="item.updated", text=json.dumps(VALUE)),
                DONE,
            ],
        ),
        ("codex", [SAID, item("agent_message", "i2", text="That is all."), DONE]),
        (
            "codex",
            [SAID, item("command_execution", "i2", command="rm x"), item("agent_message", "i3", text="Tidied."), DONE],
        ),
    ],
)
def test_the_answer(peer: str, events: list[Event | str]) -> None:
    found = read(peer, *([INIT] if peer == "claude" else []), *events)
    assert found.error is None and found.fault == "" and found.terminal
    assert found.answer is not None and found.answer.verify == "fail"
    assert "The answer." in found.answer.body


@pytest.mark.parametrize(
    ("peer", "events", "reason", "words"),
    [
        ("claude", [text(LIMIT, model="<synthetic>"), result(LIMIT)], "quota", "resets 1am"),
        ("claude", [text(LIMIT), result(LIMIT)], "quota", "resets 1am"),
        ("claude", [result("Claude AI usage limit reached|1760000400")], "quota", "resets 2025-10-09 09:00 UTC"),
        (
            "claude",
            [
                {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1760000400}},
                text("Limit reached", model="<synthetic>"),
                result("Limit reached"),
            ],
            "quota",
            "2025-10-09 09:00",
        ),
        (
            "claude",
            [text("Some words of its own", model="<synthetic>"), result("Some words of its own")],
            "peer-failed",
            "own",
        ),
        ("claude", [result("Invalid API key · Please run /login")], "auth", "/login"),
        ("claude", [result("API Error: 529 Overloaded")], "peer-failed", "Overloaded"),
        (
            "claude",
            [
                result(
                    "API Error: Claude Code is unable to respond to this request, which appears to violate our "
                    "Usage Policy (https://www.anthropic.com/legal/aup)."
                )
            ],
            "refused",
            "Usage Policy",
        ),
        ("claude", [text("I cannot.", stop=1), result("I cannot.", stop_reason="refusal")], "refused", "policy"),
        ("claude", [result(None, subtype="error_max_turns")], "peer-failed", "maximum number of turns"),
        ("claude", [result("x", subtype="error_max_turns", is_error=True, errors=[])], "peer-failed", "x"),
        (
            "claude",
            [user("<local-command-stderr>Error: Unknown skill: x</local-command-stderr>"), result(num_turns=0)],
            "peer-failed",
            "Unknown skill",
        ),
        (
            "claude",
            [text("No response requested.", model="<synthetic>"), result("No response requested.")],
            "no-output",
            "No",
        ),
        ("claude", [result(num_turns=0), FAILS], "peer-failed", "only prompt commands"),
        (
            "codex",
            [{"type": "turn.failed", "error": {"message": "You've hit your usage limit. Try again at 3:05 PM."}}],
            "quota",
            "3:05",
        ),
        ("codex", [{"type": "error", "message": "unexpected status 401 Unauthorized"}], "auth", "401"),
        (
            "codex",
            [{"type": "turn.failed", "error": {"message": "invalid_prompt: flagged for a policy"}}],
            "refused",
            "flagged",
        ),
        (
            "codex",
            [item("agent_message", text="You've hit your usage limit. Upgrade to Pro, or try again at 5 PM."), DONE],
            "quota",
            "5 PM",
        ),
    ],
)
def test_what_the_program_says_itself_is_no_answer(peer: str, events: list[Event], reason: str, words: str) -> None:
    found = read(peer, *events)
    assert found.answer is None and found.error is not None
    assert found.error[0] == reason and words in found.error[1]


@pytest.mark.parametrize(
    ("peer", "events", "kept"),
    [
        ("claude", [text("The-words."), result("")], ["The-words."]),
        ("claude", [text("First. "), text("Second."), result("First. ")], ["First. Second."]),
        (
            "claude",
            [text("Early.", "m0"), tool("Bash", {"command": "ls"}, "m0"), text("Late."), result("Late.")],
            ["Early.", "Late."],
        ),
        ("claude", [text("The-words."), FAILS], ["The-words."]),
        ("claude", [text("The-words.")], ["The-words."]),
        ("claude", [tool("StructuredOutput", VALUE)], ["The answer."]),
        ("claude", [tool("StructuredOutput", {**VALUE, "verify": "?"}), result()], ["The answer."]),
        ("claude", [result(structured_output={**VALUE, "status": "fine"})], ["The answer."]),
        ("claude", [text("The limit is told as: " + LIMIT), result("")], [LIMIT]),
        ("codex", [item("agent_message", text="The-words."), DONE], ["The-words."]),
        (
            "codex",
            [
                item("agent_message", text="One."),
                item("command_execution", "i2"),
                item("agent_message", "i3", text="Two."),
                DONE,
            ],
            ["One.", "Two."],
        ),
        ("codex", [SAID, {"type": "turn.failed", "error": {"message": "gone"}}], ["The answer."]),
    ],
)
def test_what_was_said_and_is_no_answer_is_kept(peer: str, events: list[Event], kept: list[str]) -> None:
    found = read(peer, *events)
    assert not (found.answer is not None and found.terminal and found.error is None)
    assert all(words in found.text for words in kept)


def test_a_broken_event_is_told_and_shown() -> None:
    cut = json.dumps(result(structured_output=VALUE))[:60]
    found = read("claude", INIT, cut + json.dumps(INIT))
    assert found.answer is None and found.garbled == 1 and cut in found.printed
    whole = read("claude", cut + json.dumps(INIT), json.dumps(result(structured_output=VALUE))[60:])
    assert whole.answer is not None and whole.answer.verify == "fail" and whole.garbled == 0


@pytest.mark.parametrize(
    ("peer", "events", "denied"),
    [
        ("claude", [result(permission_denials=[{"tool_name": "Bash", "tool_use_id": "a"}, {"tool_name": "Write"}])], 2),
        ("claude", [result(permission_denials=[{"tool_name": "Bash", "tool_use_id": "a"}])] * 2, 1),
        (
            "claude",
            [result(permission_denials=None), result(permission_denials="no"), result(permission_denials=[7])],
            1,
        ),
        ("claude", [result()], 0),
        (
            "codex",
            [item("command_execution", status="declined"), item("file_change", "i2", status="declined"), SAID, DONE],
            2,
        ),
        ("codex", [item("command_execution", status="failed", exit_code=1), SAID, DONE], 0),
        (
            "gemini",
            [
                {"type": "tool_use", "tool_name": "write_file", "tool_id": "a"},
                {
                    "type": "tool_result",
                    "tool_id": "a",
                    "status": "error",
                    "output": "Tool execution denied by policy.",
                },
            ],
            1,
        ),
        ("gemini", [{"type": "tool_result", "tool_id": "a", "status": "error", "output": "File not found"}], 0),
        (
            "opencode",
            [
                {
                    "type": "tool_use",
                    "part": {
                        "tool": "bash",
                        "state": {
                            "status": "error",
                            "error": "The user has specified a rule which prevents you from using this tool",
                        },
                    },
                }
            ],
            1,
        ),
        ("opencode", [{"type": "tool_use", "part": {"tool": "read", "state": {"error": "File not found"}}}], 0),
    ],
)
def test_refused_tool_calls_are_counted(peer: str, events: list[Event], denied: int) -> None:
    assert len(read(peer, *events).denied) == denied


def test_a_claude_that_works_on_after_a_result_has_not_finished() -> None:
    request = Request("01", "uma", "claude", "Look.", "s")
    reader = BUILT_IN["claude"].reader(Invocation(request.render().decode(), Path("/"), Path("/"), "write"))
    reader.feed(json.dumps(result(structured_output=VALUE)).encode() + b"\n")
    assert reader.finished
    reader.feed(json.dumps(text("The task in the background has ended.", "m9")).encode() + b"\n")
    assert not reader.finished
    found = reader.transcript(None)
    assert found.terminal and found.answer is not None and found.answer.verify == "fail"
