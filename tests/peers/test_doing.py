"""What the events of each program say that it does, in the shapes that they have, and in shapes of nobody's."""

from __future__ import annotations

from typing import Any

import pytest

from gitrelay.peers.doing import BY_PEER, Begun, Ended, acp


def block(name: str, given: dict[str, Any], id_: str = "t1") -> dict[str, Any]:
    return {
        "type": "assistant",
        "message": {"content": [{"type": "tool_use", "id": id_, "name": name, "input": given}]},
    }


def result(wrong: bool, text: Any) -> dict[str, Any]:
    one = {"type": "tool_result", "tool_use_id": "t1", "is_error": wrong, "content": text}
    return {"type": "user", "message": {"content": [one]}}


def update(**words: Any) -> dict[str, Any]:
    return {"method": "session/update", "params": {"update": words}}


def tool(name: str, status: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "part": {"tool": name, "state": {"status": status, "input": given, **more}}}


CASES: list[tuple[str, dict[str, Any], list[Begun | Ended]]] = [
    ("claude", block("Bash", {"command": "pytest", "description": "tests"}), [Begun("run", "pytest", "t1")]),
    ("claude", block("Edit", {"old_string": "a", "file_path": "/w/a.py"}), [Begun("edit", "/w/a.py", "t1")]),
    ("claude", block("Grep", {"pattern": "TODO", "path": ""}), [Begun("search", "TODO", "t1")]),
    ("claude", block("mcp__x__do", {"a": "b"}), [Begun("tool", "mcp__x__do b", "t1")]),
    ("claude", block("StructuredOutput", {"status": "done"}), []),
    ("claude", result(True, "Exit code 2\nno"), [Ended("t1", 2, False)]),
    ("claude", result(True, [{"type": "text", "text": "File not found"}]), [Ended("t1", None, False)]),
    ("claude", result(False, "ok"), [Ended("t1", None, True)]),
    (
        "claude",
        {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10, "error_status": 529},
        [Begun("retry", "1 of 10: 529")],
    ),
    ("qwen", block("run_shell_command", {"command": "ls"}), [Begun("run", "ls", "t1")]),
    (
        "gemini",
        {"type": "tool_use", "tool_name": "read_file", "tool_id": "g", "parameters": {"file_path": "a"}},
        [Begun("read", "a", "g")],
    ),
    ("gemini", {"type": "tool_result", "tool_id": "g", "status": "error"}, [Ended("g", None, False)]),
    (
        "opencode",
        tool("bash", "completed", {"command": "false"}, metadata={"exit": 1}),
        [Begun("run", "false", None, 1, False)],
    ),
    ("opencode", tool("grep", "error", {"pattern": "x"}), [Begun("search", "x", None, None, False)]),
    (
        "copilot",
        {
            "type": "tool.execution_start",
            "data": {"toolName": "bash", "toolCallId": "c", "arguments": {"command": "ls"}},
        },
        [Begun("run", "ls", "c")],
    ),
    (
        "copilot",
        {"type": "tool.execution_complete", "data": {"toolCallId": "c", "success": False}},
        [Ended("c", ok=False)],
    ),
    (
        "acp",
        update(
            sessionUpdate="tool_call",
            toolCallId="a",
            kind="execute",
            title="Run it",
            rawInput={"command": ["ls", "-l"]},
        ),
        [Begun("run", "ls -l", "a")],
    ),
    (
        "acp",
        update(sessionUpdate="tool_call", toolCallId="a", kind="edit", title="Edit a.py"),
        [Begun("edit", "Edit a.py", "a")],
    ),
    ("acp", update(sessionUpdate="tool_call_update", toolCallId="a", status="failed"), [Ended("a", ok=False)]),
    ("acp", update(sessionUpdate="tool_call_update", toolCallId="a", status="in_progress"), []),
    ("acp", update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "hi"}), []),
]


@pytest.mark.parametrize(("peer", "event", "told"), CASES)
def test_the_events_of_each_program(peer: str, event: dict[str, Any], told: list[Begun | Ended]) -> None:
    read = acp if peer == "acp" else BY_PEER[peer]
    assert list(read(event)) == told


@pytest.mark.parametrize("peer", [*BY_PEER, "acp"])
def test_what_no_program_prints_is_no_step(peer: str) -> None:
    read = acp if peer == "acp" else BY_PEER[peer]
    nobodys: list[dict[str, Any]] = [{}, {"type": 1}, {"item": []}, {"message": {"content": "x"}}, {"part": None}]
    for event in [*nobodys, {"params": {"update": 3}}]:
        assert list(read(event)) == []
