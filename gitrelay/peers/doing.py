"""What a peer's events say it does: commands, edits, searches, other tools, retries. Pure; the events are hostile.

One function for each kind of event stream: an event -> what it begins (`Begun`) and what it ends (`Ended`). Words, and
what the model thinks, are no steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from gitrelay.ground.value import dataclass
from gitrelay.peers.events import count_of, text_of


@dataclass(frozen=True)
class Begun:
    """A step begins. `kind` is one of `protocol.steps.KINDS`; `key` is what the event that ends it names."""

    kind: str
    what: str
    key: str | None = None
    exit: int | None = None
    ok: bool | None = None


@dataclass(frozen=True)
class Ended:
    """The step `key` has ended."""

    key: str
    exit: int | None = None
    ok: bool | None = None


Doing = Begun | Ended
_ANSWERS: Final = ("structuredoutput", "structured_output")  # the tool by which an answer is given
_TOOLS: Final = {
    "run": "bash shell run_shell_command exec execute exec_command local_shell powershell",
    "edit": "edit multiedit write notebookedit write_file replace patch apply_patch create delete move",
    "read": "read read_file view read_many_files notebookread",
    "search": "grep glob search find ls list list_directory search_file_content codesearch grep_search websearch "
    "web_search google_web_search webfetch web_fetch fetch rg",
}
_KIND: Final = {tool: kind for kind, tools in _TOOLS.items() for tool in tools.split()}
_SAYS: Final = ("command", "cmd", "file_path", "filePath", "path", "notebook_path", "pattern", "query", "url")
_EXIT: Final = re.compile(r"\s*(?:Error: )?Exit code:? (-?[0-9]{1,9})\b")
_AGAIN: Final = re.compile(r"(?i)\b(?:re-?try|re-?connect)")


def claude(event: dict[str, Any]) -> Iterator[Doing]:
    """Also of qwen, whose events are the same."""
    if event.get("type") == "system" and event.get("subtype") == "api_retry":
        words = f"{event.get('attempt')} of {event.get('max_retries')}: {event.get('error_status') or 'no answer'}"
        yield Begun("retry", words)
    said = event.get("message")
    content = said.get("content") if isinstance(said, dict) else None
    for block in content if isinstance(content, list) else []:
        kind = text_of(block, "type")
        if event.get("type") == "assistant" and kind == "tool_use":
            yield from _tool(text_of(block, "name"), block.get("input"), text_of(block, "id"))
        elif event.get("type") == "user" and kind == "tool_result" and (key := text_of(block, "tool_use_id")):
            wrong = block.get("is_error") is True
            found = _EXIT.match(_words(block.get("content"))) if wrong else None
            yield Ended(key, int(found[1]) if found else None, not wrong)


def codex(event: dict[str, Any]) -> Iterator[Doing]:
    kind, item = event.get("type"), event.get("item")
    message = text_of(event, "message") or ""
    if kind == "error" and _AGAIN.search(message):
        yield Begun("retry", message)
    if not isinstance(item, dict):
        return
    what, key, over = item.get("type"), text_of(item, "id"), kind == "item.completed"
    if what == "command_execution":
        if kind == "item.started":
            yield Begun("run", text_of(item, "command") or "", key)
        elif over and key:
            code = count_of(item, "exit_code")
            yield Ended(key, code, None if code is None else code == 0)
    elif what == "file_change" and over:
        changes = item.get("changes")
        for change in changes if isinstance(changes, list) else []:
            if path := text_of(change, "path"):
                yield Begun("edit", f"{text_of(change, 'kind') or 'change'} {path}")
    elif what == "web_search" and over:
        yield Begun("search", text_of(item, "query") or text_of(item, "text") or "")
    elif what == "mcp_tool_call" and over:
        ok = {"completed": True, "failed": False}.get(text_of(item, "status") or "")
        yield Begun("tool", f"{text_of(item, 'server') or ''} {text_of(item, 'tool') or ''}".strip(), ok=ok)


def copilot(event: dict[str, Any]) -> Iterator[Doing]:
    kind, data = event.get("type"), event.get("data")
    key = text_of(data, "toolCallId")
    if kind == "tool.execution_start" and isinstance(data, dict):
        yield from _tool(text_of(data, "toolName"), data.get("arguments"), key)
    elif kind == "tool.execution_complete" and key and isinstance(data, dict):
        yield Ended(key, ok=data.get("success") if isinstance(data.get("success"), bool) else None)


def gemini(event: dict[str, Any]) -> Iterator[Doing]:
    key = text_of(event, "tool_id")
    if event.get("type") == "tool_use":
        yield from _tool(text_of(event, "tool_name"), event.get("parameters"), key)
    elif event.get("type") == "tool_result" and key:
        yield Ended(key, ok={"success": True, "error": False}.get(text_of(event, "status") or ""))


def opencode(event: dict[str, Any]) -> Iterator[Doing]:
    part = event.get("part")
    state = part.get("state") if event.get("type") == "tool_use" and isinstance(part, dict) else None
    if isinstance(state, dict):
        code = count_of(state, "metadata", "exit")
        ok = {"completed": code in (None, 0), "error": False}.get(text_of(state, "status") or "")
        for begun in _tool(text_of(part, "tool"), state.get("input"), None):
            yield Begun(begun.kind, begun.what, exit=code, ok=ok)


def acp(event: dict[str, Any]) -> Iterator[Doing]:
    params = event.get("params")
    update = params.get("update") if isinstance(params, dict) else None
    said, key = text_of(update, "sessionUpdate"), text_of(update, "toolCallId")
    ok = {"completed": True, "failed": False}.get(text_of(update, "status") or "")
    if said == "tool_call" and isinstance(update, dict):
        kind = _KIND.get(text_of(update, "kind") or "", "tool")
        given = update.get("rawInput")
        what = _told(given) if kind == "run" else ""
        yield Begun(kind, what or text_of(update, "title") or text_of(update, "kind") or "", key, ok=ok)
    elif said == "tool_call_update" and key and ok is not None:
        yield Ended(key, ok=ok)


BY_PEER: Final[dict[str, Callable[[dict[str, Any]], Iterator[Doing]]]] = {
    "claude": claude,
    "codex": codex,
    "copilot": copilot,
    "gemini": gemini,
    "opencode": opencode,
    "qwen": claude,
}


def _tool(name: str | None, given: object, key: str | None) -> Iterator[Begun]:
    if name is None or name.lower() in _ANSWERS:
        return
    kind, what = _KIND.get(name.lower(), "tool"), _told(given)
    yield Begun(kind, what if kind != "tool" and what else f"{name} {what}".strip(), key)


def _told(given: object) -> str:
    """What a tool works on, out of its arguments: a command, a path, a pattern, else the first text."""
    if not isinstance(given, dict):
        return ""
    known = next((given[key] for key in _SAYS if given.get(key)), None)
    if isinstance(known, list):
        return " ".join(one for one in known if isinstance(one, str))
    if isinstance(known, str):
        return known
    return next((value for value in given.values() if isinstance(value, str)), "")


def _words(content: object) -> str:
    if isinstance(content, list):
        return text_of(content[0] if content else None, "text") or ""
    return content if isinstance(content, str) else ""
