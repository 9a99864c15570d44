"""A scripted model on 127.0.0.1, for driving the real agent CLIs offline.

The CLIs are real programs; only the model behind them is played. A test hands `ModelServer` a list of
steps and points a CLI at `server.url`; every request of the CLI's main conversation takes the next step,
and the last step repeats for ever, so `[Status(401)]` is a server that always refuses.

What holds:
- Auxiliary requests (no tools offered, or the turn that closes after an accepted StructuredOutput call)
  get a short text and consume no step, so a script reads like the conversation it plays.
- A step says what the model wants, a `Provider` says it in one vendor's wire format. Another vendor is
  one more class in `PROVIDERS`; nothing else changes.
- Nothing sleeps: `Hang` waits for the server to close or for the client to go, `wait_for_calls` waits
  on a condition, and leaving the `with` block ends every open request at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import select
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, ClassVar, Protocol

Json = dict[str, Any]


# ---------------------------------------------------------------- steps: what the model does


@dataclasses.dataclass(frozen=True)
class Answer:
    """The structured final answer, in the form that the CLI asks its model for."""

    status: str = "done"
    verify: str = "skip"
    body: str = "Hello from the scripted model."
    question: str | None = None  # asked back, with `options` to choose from
    options: tuple[str, ...] = ()

    def value(self) -> Json:
        """The answer in the form that the CLI was given a schema for."""
        value: Json = {"status": self.status, "verify": self.verify, "body": self.body}
        if self.question is None:
            return value
        return value | {"reason": "needs-input", "question": self.question, "options": list(self.options)}


@dataclasses.dataclass(frozen=True)
class Text:
    """A plain final message."""

    text: str


@dataclasses.dataclass(frozen=True)
class Shell:
    """Run a command with the CLI's shell tool, even where none was offered: a refusal is a result too."""

    command: str


@dataclasses.dataclass(frozen=True)
class Write:
    """Create a file with the CLI's own edit tool; `path` may be relative to the CLI's working directory.

    For a file that does not exist yet: Claude Code refuses to overwrite a file it has not read.
    """

    path: str
    content: str


@dataclasses.dataclass(frozen=True)
class Tool:
    """Call a tool of the CLI by its own name, as `Skill` of Claude Code or `write_stdin` of codex.

    `namespace` is the one that codex puts the tools of an MCP server into.
    """

    name: str
    arguments: Json
    namespace: str = ""


@dataclasses.dataclass(frozen=True)
class Status:
    """An HTTP error in the provider's own shape; `retry_after` in seconds; `headers` are sent as they are."""

    code: int
    retry_after: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Hang:
    """Accept the request and never answer."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """Begin the stream, then close the connection in the middle of it."""


Turn = Answer | Text | Shell | Write | Tool
Step = Turn | Status | Hang | Cut


# ---------------------------------------------------------------- values


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens of every reply; `input` includes `cached`, as OpenAI counts (Anthropic's are the difference)."""

    input: int = 12_400
    cached: int = 11_000
    output: int = 180
    reasoning: int = 64


@dataclasses.dataclass(frozen=True)
class Request:
    """One model request as the server read it.

    `prompt` is the text of the last thing the user said, without what the CLI puts around it;
    `tool_results` are the results since then, in order; `size` is the body in bytes;
    `main` is False for an auxiliary request.
    """

    path: str
    body: Json
    prompt: str
    tool_results: list[str]
    size: int
    main: bool


@dataclasses.dataclass(frozen=True)
class Reply:
    """An HTTP response; each part is sent and flushed on its own, so a stream arrives as one."""

    status: int
    content_type: str
    parts: tuple[bytes, ...]
    headers: tuple[tuple[str, str], ...] = ()


def document(body: Json, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, "application/json", (json.dumps(body).encode(),), headers)


def event_stream(events: Iterable[Json]) -> Reply:
    parts = tuple(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)
    return Reply(200, "text/event-stream", parts)


def data_stream(events: Iterable[Json], end: bytes = b"") -> Reply:
    """Server-sent events without names, as Google and OpenAI's chat completions send them."""
    parts = tuple(f"data: {json.dumps(event)}\n\n".encode() for event in events)
    return Reply(200, "text/event-stream", (*parts, end) if end else parts)


def half(reply: Reply) -> tuple[bytes, ...]:
    """The parts a cut connection still delivers: half of the events, or half of a single document."""
    if len(reply.parts) == 1:
        return (reply.parts[0][: len(reply.parts[0]) // 2],)
    return reply.parts[: (len(reply.parts) + 1) // 2]  # rounded up: the text has begun


_numbers = itertools.count(1)


def _identity(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):012d}"


def _flat(content: object) -> str:
    """The text in a message or tool result, whichever of the nested shapes it comes in."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_flat(part) for part in content)
    if isinstance(content, dict):
        for key in ("text", "content", "output"):
            if key in content:
                return _flat(content[key])
    return "" if content is None else json.dumps(content)


def _here_document(step: Write) -> str:
    path = shlex.quote(step.path)
    end = "" if step.content.endswith("\n") else "\n"
    return f"mkdir -p \"$(dirname {path})\" && cat > {path} <<'END_OF_FILE'\n{step.content}{end}END_OF_FILE"


# ---------------------------------------------------------------- providers: how a vendor says it


class Provider(Protocol):
    """One vendor's wire format."""

    def accepts(self, path: str) -> bool:
        """Whether a POST to this path (without query) is a model request of this vendor."""

    def read(self, path: str, body: Json, size: int) -> Request: ...

    def reply(self, request: Request, turn: Turn, usage: Usage) -> Reply: ...

    def error(self, status: Status) -> Reply: ...


class OpenAIResponses:
    """OpenAI Responses over server-sent events, as codex speaks it.

    Which tools codex offers depends on the model name (codex 0.169.0): an unknown name gets `exec_command`;
    gpt-5.5 also a custom `apply_patch`; gpt-6 gets "code mode", one custom tool `exec` that takes JavaScript,
    announced in an input item of type `additional_tools`.
    """

    ERRORS = (
        # status, type, code, message
        (400, "invalid_request_error", "invalid_value", "Invalid value in the request."),
        (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-dummy."),
        (403, "invalid_request_error", "unsupported_country_region_territory", "Country not supported."),
        (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 1s."),
        (500, "server_error", None, "The server had an error while processing your request."),
        (503, "server_error", None, "The engine is currently overloaded, please try again later."),
    )

    def accepts(self, path: str) -> bool:
        return path.endswith("/responses")

    def read(self, path: str, body: Json, size: int) -> Request:
        prompt, results = "", list[str]()
        for item in self._items(body):
            kind = item.get("type", "message")
            if kind == "message" and item.get("role") == "user":
                text = _flat(item.get("content"))
                if not text.lstrip().startswith(("<environment_context>", "# AGENTS.md")):
                    prompt, results = text, []
            elif kind in ("function_call_output", "custom_tool_call_output"):
                results.append(_flat(item.get("output")))
        return Request(path, body, prompt, results, size, main=bool(self._tools(body)))

    def reply(self, request: Request, turn: Turn, usage: Usage) -> Reply:
        item = self._item(turn, self._tools(request.body))
        response: Json = {
            "id": _identity("resp"),
            "object": "response",
            "model": request.body.get("model"),
            "status": "in_progress",
            "output": [],
        }
        events: list[Json] = [{"type": "response.created", "response": response}]
        at = {"output_index": 0, "item_id": item["id"]}
        opened: Json = {**item, "status": "in_progress"}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            opened["content"] = []
            events += [
                {"type": "response.output_item.added", "output_index": 0, "item": opened},
                {"type": "response.output_text.delta", **at, "content_index": 0, "delta": text},
                {"type": "response.output_text.done", **at, "content_index": 0, "text": text},
            ]
        else:
            events.append({"type": "response.output_item.added", "output_index": 0, "item": opened})
        final = {**response, "status": "completed", "output": [item], "usage": self._usage(usage)}
        events += [
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": final},
        ]
        return event_stream(events)

    def error(self, status: Status) -> Reply:
        known = {code: rest for code, *rest in self.ERRORS}
        kind, code, message = known.get(status.code, ("server_error", None, f"HTTP {status.code}"))
        return _refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})

    def _item(self, turn: Turn, tools: dict[str, Json]) -> Json:
        if isinstance(turn, Answer):
            return self._message(json.dumps(turn.value()))
        if isinstance(turn, Text):
            return self._message(turn.text)
        if isinstance(turn, Tool):
            space = {"namespace": turn.namespace} if turn.namespace else {}
            return self._function(turn.name, turn.arguments) | space
        if isinstance(turn, Write) and "apply_patch" in tools:
            return self._custom("apply_patch", self._patch(turn))
        if "exec" in tools and "exec_command" not in tools:
            return self._custom("exec", self._javascript(turn))
        command = turn.command if isinstance(turn, Shell) else _here_document(turn)
        # 30 s is the longest that codex lets one exec_command block before it hands back a session to poll.
        return self._function("exec_command", {"cmd": command, "yield_time_ms": 30_000})

    def _function(self, name: str, arguments: Json) -> Json:
        call = {"name": name, "arguments": json.dumps(arguments), "call_id": _identity("call")}
        return {"type": "function_call", "id": _identity("fc"), "status": "completed", **call}

    def _message(self, text: str) -> Json:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        base = {"type": "message", "id": _identity("msg"), "role": "assistant", "status": "completed"}
        return {**base, "content": content}

    def _custom(self, name: str, text: str) -> Json:
        base = {"type": "custom_tool_call", "id": _identity("ctc"), "status": "completed"}
        return {**base, "call_id": _identity("call"), "name": name, "input": text}

    def _patch(self, step: Write) -> str:
        lines = "".join(f"+{line}\n" for line in step.content.splitlines())
        return f"*** Begin Patch\n*** Add File: {step.path}\n{lines}*** End Patch\n"

    def _javascript(self, turn: Shell | Write) -> str:
        if isinstance(turn, Write):
            call = f"tools.apply_patch({json.dumps(self._patch(turn))})"
        else:
            call = f"tools.exec_command({json.dumps({'cmd': turn.command, 'yield_time_ms': 30_000})})"
        return f"const r = await {call}; text(typeof r === 'string' ? r : (r.output ?? JSON.stringify(r)));\n"

    def _usage(self, usage: Usage) -> Json:
        return {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        }

    def _items(self, body: Json) -> list[Json]:
        items = body.get("input") or []
        return [{"role": "user", "content": items}] if isinstance(items, str) else list(items)

    def _tools(self, body: Json) -> dict[str, Json]:
        offered = list(body.get("tools") or [])
        for item in self._items(body):
            if item.get("type") == "additional_tools":
                offered += item.get("tools") or []
        tools: dict[str, Json] = {}
        for tool in offered:
            inner = tool.get("tools") if tool.get("type") == "namespace" else [tool]
            tools.update({str(each.get("name") or each.get("type")): each for each in inner or []})
        return tools


class AnthropicMessages:
    """Anthropic Messages, streamed or as one document, as Claude Code speaks it."""

    ERRORS = (
        # status, type, message
        (400, "invalid_request_error", "messages: the request is not valid"),
        (401, "authentication_error", "invalid x-api-key"),
        (403, "permission_error", "Your API key does not have permission to use the specified resource"),
        (429, "rate_limit_error", "This request would exceed your account's rate limit."),
        (500, "api_error", "Internal server error"),
        (529, "overloaded_error", "Overloaded"),
    )
    # What Claude Code says in the user's name: context, and reminders when the answer was none.
    NOT_THE_USER = ("<system-reminder>", "[structured-output-enforce]", "[Your previous response had no")
    # The system prompt of Claude Code 2.1.329 names the folder so; its Write tool wants an absolute path.
    WORKING_DIRECTORY = re.compile(r"[Ww]orking directory(?: is)?: ?(/[^\n]+)")

    def accepts(self, path: str) -> bool:
        return path.endswith("/messages")

    def read(self, path: str, body: Json, size: int) -> Request:
        prompt, results, accepted = "", list[str](), False
        structured: set[str] = set()  # ids of StructuredOutput calls
        for message in body.get("messages") or []:
            for block in self._blocks(message.get("content")):
                kind = block.get("type")
                if kind == "tool_use" and block.get("name") == "StructuredOutput":
                    structured.add(str(block.get("id")))
                elif kind == "tool_result":
                    results.append(_flat(block.get("content")))
                    accepted = block.get("tool_use_id") in structured and not block.get("is_error")
                elif kind == "text" and message.get("role") == "user":
                    text = str(block.get("text"))
                    if not text.lstrip().startswith(self.NOT_THE_USER):
                        prompt, results, accepted = text, [], False
        main = bool(body.get("tools")) and not accepted
        return Request(path, body, prompt, results, size, main)

    def reply(self, request: Request, turn: Turn, usage: Usage) -> Reply:
        block = self._block(turn, request.body)
        message: Json = {
            "id": _identity("msg"),
            "type": "message",
            "role": "assistant",
            "model": request.body.get("model"),
            "content": [block],
            "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": self._usage(usage),
        }
        return event_stream(self._events(message, block)) if request.body.get("stream") else document(message)

    def error(self, status: Status) -> Reply:
        known = {code: rest for code, *rest in self.ERRORS}
        kind, message = known.get(status.code, ("api_error", f"HTTP {status.code}"))
        error = {"type": kind, "message": message}
        return _refusal(status, {"type": "error", "error": error, "request_id": _identity("req")})

    def _block(self, turn: Turn, body: Json) -> Json:
        if isinstance(turn, Answer):
            value = turn.value()
            if any(tool.get("name") == "StructuredOutput" for tool in body.get("tools") or []):
                return self._call("StructuredOutput", value)
            return {"type": "text", "text": json.dumps(value)}
        if isinstance(turn, Text):
            return {"type": "text", "text": turn.text}
        if isinstance(turn, Shell):
            return self._call("Bash", {"command": turn.command, "description": "Run a scripted command"})
        if isinstance(turn, Tool):
            return self._call(turn.name, turn.arguments)
        path = PurePosixPath(self._folder(body)) / turn.path
        return self._call("Write", {"file_path": str(path), "content": turn.content})

    def _call(self, tool: str, value: Json) -> Json:
        return {"type": "tool_use", "id": _identity("toolu"), "name": tool, "input": value}

    def _events(self, message: Json, block: Json) -> list[Json]:
        begun = {**message["usage"], "output_tokens": 1}
        opening = {**message, "content": [], "stop_reason": None, "usage": begun}
        if block["type"] == "text":
            empty: Json = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        return [
            {"type": "message_start", "message": opening},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": message["usage"]},
            {"type": "message_stop"},
        ]

    def _usage(self, usage: Usage) -> Json:
        return {
            "input_tokens": usage.input - usage.cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached,
            "output_tokens": usage.output,
        }

    def _blocks(self, content: object) -> list[Json]:
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return content if isinstance(content, list) else []

    def _folder(self, body: Json) -> str:
        said = [_flat(body.get("system")), *(_flat(m.get("content")) for m in body.get("messages") or [])]
        found = self.WORKING_DIRECTORY.search("\n".join(said))
        return found.group(1).strip() if found else "."


class GeminiContents:
    """Gemini's generateContent, streamed or as one document, as gemini-cli speaks it.

    Where the user has chosen no model, gemini 0.61.0 first lets a small one grade the question (not in plan
    mode): an auxiliary request that is asked again and again until it is answered with JSON of its schema.
    """

    ERRORS = (
        # status, status word, message
        (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        (403, "PERMISSION_DENIED", "The caller does not have permission"),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        (500, "INTERNAL", "An internal error has occurred."),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    )
    NOT_THE_USER = ("<session_context>", "<state_snapshot>")

    def accepts(self, path: str) -> bool:
        return path.endswith((":streamGenerateContent", ":generateContent"))

    def read(self, path: str, body: Json, size: int) -> Request:
        prompt, results = "", list[str]()
        for content in body.get("contents") or []:
            for part in content.get("parts") or []:
                if "functionResponse" in part:
                    results.append(_flat(part["functionResponse"].get("response")))
                elif content.get("role", "user") == "user" and part.get("text", "").strip():
                    text = str(part["text"])
                    if not text.lstrip().startswith(self.NOT_THE_USER):
                        prompt, results = text, []
        declared = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations") or []]
        return Request(path, body, prompt, results, size, main=bool(declared))

    def reply(self, request: Request, turn: Turn, usage: Usage) -> Reply:
        parts = self._parts(request, turn)
        model = request.path.rpartition("/")[2].partition(":")[0]
        base = {"modelVersion": model, "responseId": _identity("gemini")}
        chunks: list[Json] = [
            {**base, "candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts
        ]
        chunks[-1]["candidates"][0]["finishReason"] = "STOP"
        chunks[-1]["usageMetadata"] = self._usage(usage)
        if request.path.endswith(":streamGenerateContent"):
            return data_stream(chunks)
        chunks[-1]["candidates"][0]["content"]["parts"] = parts
        return document(chunks[-1])

    def error(self, status: Status) -> Reply:
        known = {code: rest for code, *rest in self.ERRORS}
        word, message = known.get(status.code, ("INTERNAL", f"HTTP {status.code}"))
        return _refusal(status, {"error": {"code": status.code, "message": message, "status": word}})

    def _parts(self, request: Request, turn: Turn) -> list[Json]:
        schema = request.body.get("generationConfig", {}).get("responseJsonSchema")
        if schema and not request.main:
            return [{"text": json.dumps(self._value(schema))}]
        if isinstance(turn, Answer | Text):
            text = response_file(turn, request.prompt) if isinstance(turn, Answer) else turn.text
            return [{"text": text[: len(text) // 2]}, {"text": text[len(text) // 2 :]}]
        if isinstance(turn, Tool):
            return [self._call(turn.name, turn.arguments)]
        if isinstance(turn, Shell):
            return [self._call("run_shell_command", {"command": turn.command, "description": "Run a scripted command"})]
        return [self._call("write_file", {"file_path": turn.path, "content": turn.content})]

    def _value(self, schema: Json) -> object:
        """The simplest value of a JSON schema."""
        kind = str(schema.get("type", "")).lower()
        if kind == "object":
            return {name: self._value(inner) for name, inner in (schema.get("properties") or {}).items()}
        simple: Json = {"integer": 1, "number": 1, "boolean": False, "array": []}
        return simple.get(kind, next(iter(schema.get("enum") or ["OK"])))

    def _call(self, tool: str, value: Json) -> Json:
        return {"functionCall": {"id": _identity("call"), "name": tool, "args": value}}

    def _usage(self, usage: Usage) -> Json:
        return {
            "promptTokenCount": usage.input,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": usage.output,
            "thoughtsTokenCount": usage.reasoning,
            "totalTokenCount": usage.input + usage.output + usage.reasoning,
        }


class OpenAIChat:
    """OpenAI chat completions, streamed or as one document, as opencode, qwen and copilot speak them."""

    WORKING_DIRECTORY = re.compile(r"[Ww]orking (?:in the )?directory: ?(/[^\n]+)")
    # the tool that writes a file -> the names of its path and its content, and the tool for commands next to it
    WRITERS: ClassVar = {
        "write": ("filePath", "content", "bash"),
        "write_file": ("file_path", "content", "run_shell_command"),
        "create": ("path", "file_text", "bash"),
    }

    def accepts(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def read(self, path: str, body: Json, size: int) -> Request:
        prompt, results = "", list[str]()
        for message in body.get("messages") or []:
            text = _flat(message.get("content"))
            if message.get("role") == "user":
                prompt, results = text, []
            elif message.get("role") == "tool":
                results.append(text)
        return Request(path, body, prompt, results, size, main=bool(body.get("tools")))

    def reply(self, request: Request, turn: Turn, usage: Usage) -> Reply:
        message = self._message(request, turn)
        calls = bool(message.get("tool_calls"))
        reason = "tool_calls" if calls else "stop"
        base = {"id": _identity("chatcmpl"), "created": 0, "model": request.body.get("model")}
        if not request.body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return document({**base, "object": "chat.completion", "choices": [choice], "usage": self._usage(usage)})
        base["object"] = "chat.completion.chunk"
        text = message["content"] or ""
        deltas = [message] if calls else [{**message, "content": text[:9]}, {"content": text[9:]}]
        chunks: list[Json] = [
            {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
        ]
        chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        chunks.append({**base, "choices": [], "usage": self._usage(usage)})
        return data_stream(chunks, end=b"data: [DONE]\n\n")

    def error(self, status: Status) -> Reply:
        return OpenAIResponses().error(status)

    def _message(self, request: Request, turn: Turn) -> Json:
        offered = [text for tool in request.body.get("tools") or [] if (text := tool["function"]["name"])]
        if isinstance(turn, Answer) and "structured_output" in offered:  # qwen was given a schema
            turn = Tool("structured_output", turn.value())
        if isinstance(turn, Answer | Text):
            text = response_file(turn, request.prompt) if isinstance(turn, Answer) else turn.text
            return {"role": "assistant", "content": text}
        call: Json
        if isinstance(turn, Tool):
            call = {"name": turn.name, "arguments": turn.arguments}
        else:
            writer = next((name for name in self.WRITERS if name in offered), "write")
            path_key, content_key, shell = self.WRITERS[writer]
            if isinstance(turn, Shell):
                arguments = {"command": turn.command, "description": "Run a scripted command"}
                more = {"is_background": False} if shell == "run_shell_command" else {}
                call = {"name": shell, "arguments": arguments | more}
            else:
                path = PurePosixPath(self._folder(request.body)) / turn.path
                call = {"name": writer, "arguments": {path_key: str(path), content_key: turn.content}}
        function = {**call, "arguments": json.dumps(call["arguments"])}
        tool_call = {"index": 0, "id": _identity("call"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [tool_call]}

    def _usage(self, usage: Usage) -> Json:
        return {
            "prompt_tokens": usage.input,
            "prompt_tokens_details": {"cached_tokens": usage.cached},
            "completion_tokens": usage.output + usage.reasoning,
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output + usage.reasoning,
        }

    def _folder(self, body: Json) -> str:
        said = [_flat(m.get("content")) for m in body.get("messages") or [] if m.get("role") in ("system", "user")]
        found = self.WORKING_DIRECTORY.search("\n".join(said))
        return found.group(1).strip() if found else "."


def response_file(answer: Answer, prompt: str) -> str:
    """The answer as the response file that a request's Format block asks for, addressed as it says."""
    said = dict(re.findall(r"^ *(re|from|to): (\S+)$", prompt, re.MULTILINE))
    head = {"relay": "4", **{key: said.get(key, "?") for key in ("re", "from", "to")}}
    head |= {"status": answer.status, "verify": answer.verify}
    return "---\n" + "".join(f"{key}: {value}\n" for key, value in head.items()) + f"---\n\n{answer.body}\n"


def _refusal(status: Status, body: Json) -> Reply:
    wait = () if status.retry_after is None else (("Retry-After", str(status.retry_after)),)
    return document(body, status.code, (*wait, *status.headers))


PROVIDERS: tuple[Provider, ...] = (OpenAIResponses(), AnthropicMessages(), GeminiContents(), OpenAIChat())


# ---------------------------------------------------------------- the server


class ModelServer:
    """A model that plays a script: `with ModelServer([Shell("pytest"), Answer(verify="pass")]) as server:`.

    A script may also be a function that gives the step for each request of the main conversation.
    Leaving the block raises what went wrong inside the server, if anything did.
    """

    def __init__(self, script: Sequence[Step] | Callable[[Request], Step], usage: Usage | None = None) -> None:
        if not script:
            raise ValueError("a script needs at least one step")
        self._script = script if callable(script) else tuple(script)
        self._usage = usage or Usage()
        self._news = threading.Condition()
        self._requests: list[Request] = []
        self._strays: list[str] = []
        self._calls = 0
        self._faults: list[Exception] = []
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve, name="model-server", daemon=True)

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.stop()
        self._thread.join()
        if self._faults and error is None:
            raise ExceptionGroup("the model server failed", self._faults)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def requests(self) -> list[Request]:
        """Every model request so far, auxiliary ones too (`Request.main` tells them apart)."""
        with self._news:
            return list(self._requests)

    @property
    def model_calls(self) -> int:
        """How many requests the main conversation has made, the refused and unanswered ones counted."""
        with self._news:
            return self._calls

    @property
    def strays(self) -> list[str]:
        """Requests nobody here speaks, as "METHOD /path"; answered 404."""
        with self._news:
            return list(self._strays)

    def wait_for_calls(self, count: int, timeout: float) -> bool:
        """Wait for the main conversation's `count`-th request; False when `timeout` seconds pass without."""
        with self._news:
            return self._news.wait_for(lambda: self._calls >= count, timeout)

    def _next(self, request: Request) -> tuple[Step, Usage]:
        with self._news:
            self._requests.append(request)
            if not request.main:
                return Text("OK"), self._usage
            script = self._script
            step = script(request) if callable(script) else script[min(self._calls, len(script) - 1)]
            self._calls += 1
            self._news.notify_all()
            return step, self._usage

    def _stray(self, line: str) -> None:
        with self._news:
            self._strays.append(line)

    def _fault(self, error: Exception) -> None:
        with self._news:
            self._faults.append(error)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, model: ModelServer) -> None:
        self.model = model
        self.closing = threading.Event()
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def serve(self) -> None:
        self.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """End at once: requests that hang see `closing`, kept-alive connections are shut down."""
        self.closing.set()
        self.shutdown()
        with self._guard:
            for connection in self._open:
                _shut(connection)
        self.server_close()

    def track(self, connection: socket.socket, opened: bool) -> None:
        with self._guard:
            (self._open.add if opened else self._open.discard)(connection)
            if opened and self.closing.is_set():
                _shut(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is nothing to report; anything else is our own fault."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.model._fault(error)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener
    connection: socket.socket

    def setup(self) -> None:
        super().setup()
        self.server.track(self.connection, opened=True)

    def finish(self) -> None:
        self.server.track(self.connection, opened=False)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        # Claude Code asks HEAD / before its first request.
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if (self.headers.get("Upgrade") or "").lower() == "websocket":
            # codex tries a WebSocket first; 426 sends it to HTTP at once, a 404 costs five retries (6.5 s).
            self._send(document({"error": {"message": "no WebSocket here"}}, 426))
        elif path.endswith("/models"):
            model = {"id": "scripted", "object": "model", "type": "model", "display_name": "Scripted"}
            self._send(document({"object": "list", "data": [model], "has_more": False}))
        else:
            self._not_found()

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        data = self._read()
        if path.endswith("/count_tokens"):
            # 4 bytes to a token, roughly
            return self._send(document({"input_tokens": len(data) // 4 + 1}))
        if path.endswith(":countTokens"):
            return self._send(document({"totalTokens": len(data) // 4 + 1}))
        provider = next((each for each in PROVIDERS if each.accepts(path)), None)
        if provider is None:
            return self._not_found()
        request = provider.read(path, json.loads(data), len(data))
        step, usage = self.server.model._next(request)
        if isinstance(step, Status):
            self._send(provider.error(step))
        elif isinstance(step, Hang):
            self._hang()
        elif isinstance(step, Cut):
            self._send(provider.reply(request, Text("This answer is cut off."), usage), cut=True)
        else:
            self._send(provider.reply(request, step, usage))

    def _read(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, reply: Reply, cut: bool = False) -> None:
        """Always chunked, so that a cut is one: the client misses the last chunk, it sees no plain end."""
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        for part in half(reply) if cut else reply.parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        if cut:
            self.close_connection = True
            _shut(self.connection)
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _hang(self) -> None:
        self.close_connection = True
        while not self.server.closing.wait(0.05):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _not_found(self) -> None:
        self.server.model._stray(f"{self.command} {self.path}")
        error = {"type": "not_found_error", "message": f"nothing at {self.path}"}
        self._send(document({"error": error}, 404))
