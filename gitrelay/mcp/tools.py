"""The tools: their names, what is said of them to a model, and the arguments that each takes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gitrelay.errors import UsageError
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.protocol.frontmatter import MAX_BYTES
from gitrelay.protocol.words import Access

_WORD_MAX: Final = 4096  # characters of any argument that is not a text
_LIST_MAX: Final = 100
_ADDRESS: Final = "The address of the exchange, SESSION/ID, or the id of a one-shot; as a result gave it."
_FOLDER: Final = "The repository's folder, if the client works in several. Default: the first."


@dataclass(frozen=True)
class Argument:
    """One argument: `kind` is string, text (a long string), strings, boolean or integer."""

    kind: str
    help: str
    required: bool = False
    words: tuple[str, ...] = ()  # the only values

    @property
    def schema(self) -> dict[str, Any]:
        types: dict[str, dict[str, Any]] = {
            "string": {"type": "string", "maxLength": _WORD_MAX},
            "text": {"type": "string"},
            "strings": {"type": "array", "items": {"type": "string", "maxLength": _WORD_MAX}, "maxItems": _LIST_MAX},
            "boolean": {"type": "boolean"},
            "integer": {"type": "integer", "minimum": 0},
        }
        words = {"enum": list(self.words)} if self.words else {}
        return {**types[self.kind], **words, "description": self.help}


@dataclass(frozen=True)
class Tool:
    """One tool. `changes`: it may change files or the record; `lists`: its result is the list of sessions."""

    name: str
    title: str
    help: str
    arguments: Mapping[str, Argument]
    changes: bool = True
    lists: bool = False

    def to_json(self) -> dict[str, Any]:
        """The tool as `tools/list` gives it. What may write is never said to be read-only."""
        hints: dict[str, bool] = {"readOnlyHint": not self.changes, "openWorldHint": self.changes}
        if self.changes:
            hints |= {"destructiveHint": True, "idempotentHint": False}
        return {
            "name": self.name,
            "title": self.title,
            "description": self.help,
            "inputSchema": {
                "type": "object",
                "properties": {name: argument.schema for name, argument in self.arguments.items()},
                "required": [name for name, argument in self.arguments.items() if argument.required],
                "additionalProperties": False,
            },
            "outputSchema": _SESSIONS if self.lists else _EXCHANGE,
            "annotations": {"title": self.title, **hints},
        }


_TO: Final = Argument(
    "string", "The peer: claude, codex, copilot, gemini, opencode, qwen, shell, or one of git config.", True
)
_WAIT: Final = Argument("string", "How long to wait here, as 90s or 4m; the server may wait less. 0s does not wait.")
_AT: Final = Argument("string", _ADDRESS, True)
_IN: Final = Argument("string", _FOLDER)

TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool(
            "relay_call",
            "Ask another agent",
            "Ask another coding agent, the peer, to do a task or to give its opinion, and get its answer. Request and "
            "answer are recorded in git. The task must say all that the peer needs: it sees the repository, not this "
            "conversation. If the result says pending, the peer still works: call relay_wait with the address.",
            {
                "to": _TO,
                "task": Argument("text", "What the peer is to do, self-contained; refer to files by path.", True),
                "session": Argument(
                    "string", "Continue, or open, this session: the peer remembers its earlier turns. a-z, 0-9, '-'."
                ),
                "name": Argument("string", "A short name for a call without a session. a-z, 0-9, '-'."),
                "access": Argument(
                    "string",
                    "read: look only. write: edit files and run commands. full: no sandbox. Default: write, or what "
                    "the user has configured, and never more than this server may give.",
                    words=tuple(Access),
                ),
                "isolate": Argument("boolean", "true: work in a copy of the files; false: in the files themselves."),
                "checks": Argument("strings", "Commands that gitrelay itself runs after the answer, as 'pytest -q'."),
                "key": Argument("string", "A key of your own: the same call with the same key is never made twice."),
                "budget": Argument("strings", "What the call may use at most: 2usd, 200ktok or 15m."),
                "files": Argument("strings", "Files that the peer is to look at, by their path in the repository."),
                "context": Argument("strings", "Addresses of earlier exchanges that the peer is given with the task."),
                "wait": _WAIT,
                "folder": _IN,
            },
        ),
        Tool(
            "relay_wait",
            "Wait for an answer",
            "Wait for a call that was pending, and get its answer. It may say pending again: then call it again.",
            {"address": _AT, "wait": _WAIT, "folder": _IN},
            changes=False,
        ),
        Tool(
            "relay_show",
            "Show an exchange",
            "Show what is recorded of a call: the answer, the checks, the changed files.",
            {
                "address": _AT,
                "offset": Argument("integer", "Begin with this character of the body, where a result was cut off."),
                "folder": _IN,
            },
            changes=False,
        ),
        Tool(
            "relay_list",
            "List the sessions",
            "List the sessions of the repository, the latest first: who asked whom, and how the last turn ended.",
            {
                "open": Argument("boolean", "Only sessions that are not archived."),
                "since": Argument("string", "Only sessions that spoke within this time, as 2h or 7d."),
                "folder": _IN,
            },
            changes=False,
            lists=True,
        ),
        Tool(
            "relay_cancel",
            "Stop a call",
            "Stop a running call. What the peer has changed so far stays as it is.",
            {"address": _AT, "folder": _IN},
        ),
        Tool(
            "relay_answer",
            "Answer a question",
            "Answer a question that a peer asked back (outcome error:needs-input): the next turn of its session, with "
            "the same access. Answer from what you know; else ask the person you work for.",
            {
                "address": _AT,
                "text": Argument("text", "The answer, in words, or the words of one of the options.", True),
                "wait": _WAIT,
                "folder": _IN,
            },
        ),
    )
}


def checked(tool: Tool, given: object) -> dict[str, Any]:
    """The arguments of a call, each known and of its type; null counts as not given. Raises UsageError."""
    if not isinstance(given, dict):
        raise UsageError(f"the arguments of {tool.name} are not an object", hint=_takes(tool))
    for name in given:
        if name not in tool.arguments:
            raise UsageError(f"{tool.name} has no argument {quote(str(name))}", hint=_takes(tool))
    found = {name: value for name, value in given.items() if value is not None}
    for name, value in found.items():
        if tool.arguments[name].kind == "strings" and isinstance(value, str):
            found[name] = [value]  # models give one as it is, whatever the schema says
    for name, argument in tool.arguments.items():
        if argument.required and name not in found:
            raise UsageError(f"{tool.name} needs {name}", hint=_takes(tool))
    for name, value in found.items():
        _check(tool.arguments[name], name, value)
    return found


def _check(argument: Argument, name: str, value: object) -> None:
    if argument.kind == "strings":
        if not isinstance(value, list) or len(value) > _LIST_MAX:
            raise UsageError(f"{name} is not a list of at most {_LIST_MAX} strings", hint=argument.help)
        for item in value:
            _check_text(name, item, _WORD_MAX)
    elif argument.kind in ("string", "text"):
        _check_text(name, value, _WORD_MAX if argument.kind == "string" else MAX_BYTES)
        if argument.words and value not in argument.words:
            raise UsageError(f"{name} {quote(str(value))}", hint=f"it is {', '.join(argument.words)}")
    elif argument.kind == "boolean":
        if not isinstance(value, bool):
            raise UsageError(f"{name} is neither true nor false", hint=argument.help)
    elif not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise UsageError(f"{name} is not a number from 0 on", hint=argument.help)


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str):
        raise UsageError(f"{name} is not a string", hint="give it as text")
    if len(value) > limit:
        raise UsageError(f"{name} has {len(value)} characters", hint=f"at most {limit}; put more into a file")
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise UsageError(f"{name} is not text: {quote(value[:60])}", hint="it must be UTF-8 without NUL")


def _takes(tool: Tool) -> str:
    words = (name if argument.required else f"{name}?" for name, argument in tool.arguments.items())
    return f"it takes {', '.join(words)}"


def _of(kind: str, help_: str = "") -> dict[str, Any]:
    return {"type": kind, **({"description": help_} if help_ else {})}


def _or_none(kind: str, help_: str = "") -> dict[str, Any]:
    return {"type": [kind, "null"], **({"description": help_} if help_ else {})}


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": dict(item)}}


# An exchange and the list of sessions as results have them; docs/mcp.md has the same keys, a test compares
_EXCHANGE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "address": _of("string", "SESSION/ID, or the id of a one-shot"),
        "session": _of("string"),
        "outcome": _of("string", "pass, fail, unverified, check-failed, error:REASON or pending"),
        "status": _of("string", "done, error or pending"),
        "verify": _or_none("string", "what the peer says of its own tests: pass, fail or skip"),
        "reason": _or_none("string", "why there is no answer, or none that counts"),
        "body": _or_none("string", "what the peer answered"),
        "body_cut": _of("boolean", "there is more of the body: see next"),
        "question": _or_none("string", "what the peer asks back"),
        "options": {"type": "array", "items": {"type": "string"}},
        "checks": _list({"command": _of("string"), "result": _of("string")}),
        "changed_files": _list({"path": _of("string"), "state": _of("string")}),
        "changed_more": _of("integer", "how many changed files are not listed"),
        "workspace": _or_none("string", "isolated: the changes are in a copy of the files"),
        "access": _or_none("string"),
        "notes": {"type": "array", "items": {"type": "string"}},
        "next": _of("string", "what to do next"),
    },
    "required": ["address", "session", "outcome", "status", "body", "changed_files", "next"],
}
_SESSIONS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "sessions": _list(
            {
                "session": _of("string"),
                "address": _or_none("string", "its last exchange"),
                "turns": _of("integer"),
                "from": _or_none("string"),
                "to": _or_none("string"),
                "outcome": _of("string"),
                "archived": _of("boolean"),
                "age_s": _of("integer"),
            }
        ),
        "more": _of("integer", "how many older sessions are not listed"),
        "next": _of("string"),
    },
    "required": ["sessions", "more", "next"],
}
EXCHANGE_KEYS: Final = tuple(_EXCHANGE["properties"])
