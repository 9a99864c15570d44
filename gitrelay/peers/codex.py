"""`codex`: Codex CLI, run as `codex exec --json` with the prompt on stdin and an output schema.

Seen with 0.169.0: the last `agent_message` is the answer as JSON text, one round trip. The sandbox is
restated on every call (none given means read-only). Exit 0 proves nothing: a sandbox that could not be
made ends with `turn.completed` too. An unreachable server is retried for ever unless
`unbounded_connection_retries` is off.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gitrelay.peers import moved, voice
from gitrelay.peers.answers import STRICT_SCHEMA, STRUCTURED_LEAD, Said
from gitrelay.peers.base import Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import EventReader, count_of, text_of
from gitrelay.peers.responses import Address
from gitrelay.protocol.words import Access

_SANDBOX = {"read": "read-only", "write": "workspace-write", "full": "danger-full-access"}
_STATUS = re.compile(r"\b(?:status|HTTP)[ :]+(\d{3})\b", re.IGNORECASE)
# if user namespaces are not allowed, every command fails so, and codex itself ends with exit code 0
_NO_SANDBOX = re.compile(r"^bwrap: .*namespace", re.MULTILINE)


class Codex:
    name = "codex"
    capabilities = Capabilities(
        program="codex",
        access=tuple(_SANDBOX),
        structured=True,
        events=True,
        minimum=(0, 140),  # the first with today's resume and sandbox flags; 0.169 is what is tested
        resumes=True,
        litter=(".agents", ".aws", ".codex"),
        cumulative=("input", "cached", "output"),
        gone=("thread/resume failed", "no rollout found", "thread not found", "no conversation found"),
        reports=("tok",),
        first_output=300.0,
        idle=1200.0,
    )

    def command(self, call: Invocation) -> Command:
        schema = call.folder / "answer.schema.json"
        schema.write_text(json.dumps(STRICT_SCHEMA), "utf-8")
        # -s comes before `resume`, which knows no sandbox of its own and does not remember the last one
        argv = ["codex", "exec", "-s", _SANDBOX[call.access]]
        if call.access == Access.READ:  # a rule lets commands out of the sandbox, `git relay` among them
            argv.append("--ignore-rules")
        argv += ["resume", call.resume] if call.resume else []
        argv += ["--json", "--output-schema", str(schema), "-c", "features.unbounded_connection_retries=false"]
        argv += moved.for_codex(call)
        if call.model:
            argv += ["-m", call.model]
        if call.effort:
            argv += ["-c", f"model_reasoning_effort={json.dumps(call.effort)}"]
        return Command(argv=(*argv, "-"), stdin=f"{STRUCTURED_LEAD}{call.before}\n{call.prompt}".encode())

    def reader(self, call: Invocation) -> _Events:
        return _Events(call)


class _Events(EventReader):
    def __init__(self, call: Invocation) -> None:
        super().__init__()
        self._said = Said(Address.of(call))
        self._session: str | None = None
        self._failed: str | None = None
        self._retry: str | None = None
        self._usage: dict[str, str] = {}
        self._terminal = False
        self._commands = 0
        self._sandboxless: list[str] = []
        self._denied: list[str] = []

    def event(self, event: dict[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "thread.started":
            self._session = text_of(event, "thread_id") or self._session
        elif kind == "turn.completed":
            self._terminal = self.finished = True
            for name, key in (
                ("input", "input_tokens"),
                ("cached", "cached_input_tokens"),
                ("output", "output_tokens"),
            ):
                count = count_of(event, "usage", key)
                if count is not None:
                    self._usage[name] = str(count)
            self.spent = dict(self._usage)
            return True
        elif kind == "turn.failed":
            self._failed = text_of(event, "error", "message") or "the turn failed"
        elif kind == "error":
            # "Reconnecting... 1/5 (...)": no progress, and it may go on for ever
            self._retry = text_of(event, "message")
        elif isinstance(kind, str) and kind.startswith("item."):
            return self._item(kind, event.get("item"))
        return False

    def _item(self, kind: str, item: object) -> bool:
        what = text_of(item, "type")
        if what == "error":
            return False  # a warning, as "Model metadata for ... not found"
        self.finished = False
        if what == "agent_message":
            self._said.say(text_of(item, "text") or "", text_of(item, "id") or object())
        elif what not in (None, "reasoning", "todo_list"):
            self._said.use_tool()
        if what == "command_execution" and kind == "item.completed":
            self._commands += 1
            output = text_of(item, "aggregated_output") or ""
            if _NO_SANDBOX.search(output):
                self._sandboxless.append(output.strip().splitlines()[-1])
        if kind == "item.completed" and text_of(item, "status") == "declined":
            self._denied.append(text_of(item, "tool") or what or "a tool")
        return True

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer, fault = self._said.answer(in_words=False)
        error = None if answer is not None and self._terminal and not self._powerless else self._error()
        return Transcript(
            answer=answer if error is None else None,
            terminal=self._terminal,
            error=error,
            fault=fault,
            text=self._said.text,
            printed=self.printed,
            garbled=self.garbled,
            denied=tuple(self._denied),
            peer_session=self._session,
            usage=self._usage,
        )

    @property
    def _powerless(self) -> bool:
        """Whether no command could run, for want of a sandbox."""
        return bool(self._sandboxless) and len(self._sandboxless) == self._commands

    def _error(self) -> tuple[str, str] | None:
        words = self._failed or (self._retry if not self._terminal else None)
        if words is not None:
            status = _STATUS.search(words)
            return voice.reason_of_status(int(status[1]) if status else None, words), voice.with_times(words)
        if self._powerless:
            return "sandbox", f"codex cannot make its sandbox on this machine: {self._sandboxless[-1]}"
        return voice.own_words(self._said.final)


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a command, changed files, words, a retry; None for the rest."""
    kind = event.get("type")
    if kind == "error":
        return text_of(event, "message")
    item = event.get("item")
    if not isinstance(item, dict):
        return None
    what = item.get("type")
    if what == "command_execution":
        if kind == "item.started":
            return f"run: {text_of(item, 'command')}"
        code = count_of(item, "exit_code")
        return f"exit {code}" if code else None
    if kind != "item.completed":
        return None
    if what == "file_change":
        changes = item.get("changes")
        rows = changes if isinstance(changes, list) else []
        return "; ".join(f"{text_of(c, 'kind') or 'change'} {text_of(c, 'path')}" for c in rows)
    if what == "agent_message":
        text = text_of(item, "text") or ""
        return "answer" if text.lstrip().startswith("{") else f"says: {text}"
    return f"{what}: {text_of(item, 'text') or ''}" if what in ("reasoning", "web_search", "mcp_tool_call") else None
