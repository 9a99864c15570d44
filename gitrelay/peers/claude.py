"""`claude`: Claude Code, run as `claude -p` with the prompt on stdin and a JSON schema for its answer.

Seen with 2.1.329: the schema becomes a tool that the model calls once, so a question costs one round
trip in every permission mode. Exit 0 proves nothing: an API error comes as `subtype: success` with
`is_error: true`, an aborted start as `num_turns: 0` with an empty result.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from gitrelay.peers.base import (
    ANSWER_SCHEMA,
    STRUCTURED_LEAD,
    Answer,
    Capabilities,
    Command,
    EventReader,
    Invocation,
    Transcript,
    answer_of_text,
    count_of,
    reason_of_status,
    text_of,
)
from gitrelay.protocol import frontmatter, message

_ACCESS = {
    # plan mode refuses edits; --tools takes the other tools away (--allowedTools would only pre-approve)
    "read": ("--permission-mode", "plan", "--tools", "Read,Glob,Grep", "--strict-mcp-config"),
    # acceptEdits alone refuses every command that is not a plain file operation, pytest too
    "write": ("--permission-mode", "acceptEdits", "--allowedTools", "Bash"),
    # refused as root by claude itself
    "full": ("--permission-mode", "bypassPermissions"),
}


class Claude:
    name = "claude"
    capabilities = Capabilities(
        program="claude",
        access=tuple(_ACCESS),
        structured=True,
        events=True,
        minimum=(2, 1),
        resumes=True,
        cumulative=("cost_usd",),
        gone=("No conversation found",),
        first_output=300.0,
        idle=1200.0,  # its Bash tool ends or backgrounds a command after 600 s
    )

    def command(self, call: Invocation) -> Command:
        argv = ["claude", "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--json-schema", json.dumps(ANSWER_SCHEMA), *_ACCESS[call.access]]
        if call.model:
            argv += ["--model", call.model]
        if call.effort:
            argv += ["--effort", call.effort]
        argv += ["--resume", call.resume] if call.resume else ["--session-id", str(uuid.uuid4())]
        return Command(argv=tuple(argv), stdin=f"{STRUCTURED_LEAD}{call.continuing}\n{call.prompt}".encode())

    def reader(self, call: Invocation) -> _Events:
        return _Events()


class _Events(EventReader):
    def __init__(self) -> None:
        super().__init__()
        self._result: dict[str, Any] | None = None
        self._session: str | None = None
        self._version: str | None = None
        self._model: str | None = None
        self._said = ""
        self._retry: tuple[int | None, str] | None = None

    def event(self, event: dict[str, Any]) -> bool:
        kind, subtype = event.get("type"), event.get("subtype")
        if kind == "system" and subtype == "init":
            self._session = text_of(event, "session_id")
            self._version = text_of(event, "claude_code_version")
            self._model = text_of(event, "model")
            return False
        if kind == "system" and subtype == "api_retry":
            status, words = (
                count_of(event, "error_status"),
                text_of(event, "error") or "no answer from the API",
            )
            self._retry = (status, words)
            if status in (401, 403):
                # it would try eleven times, three minutes, and a wrong key does not get better
                self.fatal = ("auth", f"the API answered {status}: {words}")
            return False
        if kind == "assistant":
            model = text_of(event, "message", "model")
            if event.get("error") is not None or model == "<synthetic>":
                return False  # the CLI's own words about an API error, dressed as an answer
            self._model = model or self._model
            self._said = _spoken(event) or self._said
            return True
        if kind == "result":
            self._result = event
            self._session = text_of(event, "session_id") or self._session
            self.finished = event.get("is_error") is False
            return True
        return kind in ("user", "stream_event")

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer: Answer | None = None
        fault = text = ""
        error: tuple[str, str] | None = None
        result = self._result
        if result is None:
            if self._retry is not None:
                status, words = self._retry
                error = (
                    reason_of_status(status, words),
                    f"the API did not answer: {status or 'no connection'} {words}",
                )
            else:
                text = self._said
                answer, fault = answer_of_text(text)
        else:
            text = text_of(result, "result") or ""
            if result.get("is_error") is not False:
                status = count_of(result, "api_error_status")
                words = text or " ".join(_words(result.get("errors"))) or text_of(result, "subtype") or "error"
                error = (reason_of_status(status, words), words)
                if result.get("subtype") == "error_max_structured_output_retries":
                    error = ("bad-output", words)
            elif result.get("structured_output") is not None:
                try:
                    answer = Answer(*message.structured(result["structured_output"]))
                except frontmatter.BadMessage as e:
                    fault = str(e)
            elif count_of(result, "num_turns") == 0:
                error = ("no-output", "no turn was made")
            else:
                answer, fault = answer_of_text(text)
        return Transcript(
            answer=answer,
            terminal=result is not None,
            error=error,
            fault=fault,
            text=text,
            model=self._model,
            peer_session=self._session,
            version=self._version,
            usage=_usage(result),
        )


def _spoken(event: dict[str, Any]) -> str:
    """The text blocks of an assistant message."""
    message_ = event.get("message")
    content = message_.get("content") if isinstance(message_, dict) else None
    blocks = content if isinstance(content, list) else []
    return "\n".join(filter(None, (text_of(block, "text") for block in blocks)))


def _words(errors: object) -> list[str]:
    return [e for e in errors if isinstance(e, str)] if isinstance(errors, list) else []


def _usage(result: dict[str, Any] | None) -> dict[str, str]:
    usage: dict[str, str] = {}
    for name, path in (
        ("input", ("usage", "input_tokens")),
        ("cached", ("usage", "cache_read_input_tokens")),
        ("output", ("usage", "output_tokens")),
    ):
        count = count_of(result, *path)
        if count is not None:
            usage[name] = str(count)
    cost = result.get("total_cost_usd") if result else None
    if isinstance(cost, int | float) and not isinstance(cost, bool):
        usage["cost_usd"] = f"{cost:.6f}"
    return usage


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a tool and what it works on, words, a retry; None for the rest."""
    if event.get("type") == "system" and event.get("subtype") == "api_retry":
        return f"retry {event.get('attempt')} of {event.get('max_retries')}: {event.get('error_status') or 'no answer'}"
    if event.get("type") != "assistant":
        return None
    message_ = event.get("message")
    content = message_.get("content") if isinstance(message_, dict) else None
    lines = []
    for block in content if isinstance(content, list) else []:
        name = text_of(block, "name")
        if name == "StructuredOutput":
            lines.append("answer")
        elif name is not None:
            given = block.get("input")
            what = next((v for v in given.values() if isinstance(v, str)), "") if isinstance(given, dict) else ""
            lines.append(f"{name}: {what}")
        elif text_of(block, "text"):
            lines.append(f"says: {text_of(block, 'text')}")
    return "; ".join(lines) or None
