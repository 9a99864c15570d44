"""`copilot`: GitHub's Copilot CLI, run headless with the prompt on stdin; its final message is a response file.

Seen with 1.0.102, with a key of one's own and no account (COPILOT_PROVIDER_BASE_URL and its like): it has no schema for
its answer, so the prompt asks for one in words. Nothing asks a person in this mode, so what may be done is said before:
under read access it has the three tools that look and no other. A refused key is tried three times. Its events tell no
tokens.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from gitrelay.peers import voice
from gitrelay.peers.answers import Said, written_lead
from gitrelay.peers.base import Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import EventReader, count_of, text_of
from gitrelay.peers.responses import Address

_ACCESS: Final = {
    "read": ("--allow-all-tools", "--available-tools", "view", "grep", "glob"),
    "write": ("--allow-all-tools",),  # its file tools stay in the working tree and the folder for temporary files
    "full": ("--allow-all",),
}
_WORKING: Final = frozenset({"assistant.message_delta", "assistant.reasoning_delta", "assistant.tool_call_delta"})
_DENIED: Final = frozenset({"denied", "rejected"})


class Copilot:
    name = "copilot"
    capabilities = Capabilities(
        program="copilot",
        access=tuple(_ACCESS),
        events=True,
        minimum=(1,),
        resumes=True,
        gone=("no session", "session not found", "failed to resume"),
        first_output=300.0,
        idle=1200.0,
    )

    def command(self, call: Invocation) -> Command:
        argv = ["copilot", "--output-format", "json", "--no-color", "--no-ask-user", "--no-auto-update"]
        if call.model:
            argv += ["--model", call.model]
        if call.effort:
            argv += ["--reasoning-effort", call.effort]
        argv += [f"--resume={call.resume}"] if call.resume else ["--session-id", str(uuid.uuid4())]
        argv += _ACCESS[call.access]
        return Command(tuple(argv), f"{written_lead(call)}\n{call.prompt}".encode())

    def reader(self, call: Invocation) -> _Events:
        return _Events(call)


class _Events(EventReader):
    def __init__(self, call: Invocation) -> None:
        super().__init__()
        self._said = Said(Address.of(call), glue="\n")
        self._error: tuple[str, str] | None = None
        self._terminal = False
        self._session: str | None = None
        self._model: str | None = None
        self._denied: list[str] = []
        self._tools: dict[str, str] = {}

    def event(self, event: dict[str, Any]) -> bool:
        kind, data = text_of(event, "type") or "", event.get("data")
        if kind == "assistant.message":
            self._model = text_of(data, "model") or self._model
            self._said.say(text_of(data, "content") or "", text_of(data, "messageId") or object())
            self.finished = False
            return True
        if kind == "tool.execution_start":
            self._said.use_tool()
            self._tools[text_of(data, "toolCallId") or ""] = text_of(data, "toolName") or "a tool"
            return True
        if kind == "tool.execution_complete":
            if text_of(data, "error", "code") in _DENIED:
                self._denied.append(self._tools.get(text_of(data, "toolCallId") or "", "a tool"))
            return True
        if kind == "session.error" and not self._terminal:  # what fails afterwards takes no answer back
            self._error = _error(data)
        elif kind == "result":
            self._session = text_of(event, "sessionId") or self._session
            good = count_of(event, "exitCode") == 0
            self._terminal = self._terminal or good
            self.finished = self.finished or good
            return good
        return kind in _WORKING

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer, fault = self._said.answer(in_words=True)
        error = None if self._terminal and answer is not None and not answer.plain else self._error
        if error is None and (answer is None or answer.plain):
            error = voice.own_words(self._said.final)
        return Transcript(
            answer=answer if error is None else None,
            terminal=self._terminal,
            error=error,
            fault=fault,
            text=self._said.text,
            printed=self.printed,
            garbled=self.garbled,
            denied=tuple(self._denied),
            model=self._model,
            peer_session=self._session,
        )


def _error(data: object) -> tuple[str, str]:
    words = text_of(data, "message") or "an error without words"
    if text_of(data, "errorType") == "authentication":
        return "auth", words
    return voice.reason_of_status(count_of(data, "statusCode"), words), words


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a tool and what it works on, words, an error; None for the rest."""
    kind, data = event.get("type"), event.get("data")
    if kind == "assistant.message" and text_of(data, "content"):
        return f"says: {text_of(data, 'content')}"
    if kind == "tool.execution_start" and isinstance(data, dict):
        given = data.get("arguments")
        what = next((v for v in given.values() if isinstance(v, str)), "") if isinstance(given, dict) else ""
        return f"{text_of(data, 'toolName')}: {what}"
    return text_of(data, "message") if kind == "session.error" else None
