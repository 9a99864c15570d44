"""`qwen`: Qwen Code, run headless with the prompt on stdin and a JSON schema for its answer.

Seen with 0.24.4: its events are those of claude, the schema becomes a tool that the model calls once. Its
`input_tokens` count what came from the cache too. Plan mode offers a tool that leaves it, so under read access the
tools that change something are taken away as well. Its file tools refuse what git ignores, as gemini's do. After an
answer it may ask the model what to remember: a call more.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any, ClassVar, Final

from gitrelay.peers import claude
from gitrelay.peers.answers import ANSWER_SCHEMA, STRUCTURED_LEAD
from gitrelay.peers.base import Capabilities, Command, Invocation
from gitrelay.peers.events import count_of
from gitrelay.peers.turns import turns_in_prompt

_TAKEN: Final = "run_shell_command,write_file,edit,notebook_edit,exit_plan_mode,enter_worktree,agent,monitor"
_ACCESS: Final = {
    "read": ("--approval-mode", "plan", "--exclude-tools", _TAKEN),
    # auto-edit alone refuses every command
    "write": ("--approval-mode", "auto-edit", "--allowed-tools", "run_shell_command"),
    "full": ("--approval-mode", "yolo"),
}
_TOKENS: Final = (("input", "input_tokens"), ("cached", "cache_read_input_tokens"), ("output", "output_tokens"))


class Qwen:
    name = "qwen"
    capabilities = Capabilities(
        program="qwen",
        access=tuple(_ACCESS),
        structured=True,
        events=True,
        minimum=(0, 24),
        resumes=True,
        measures=("tok",),
        reports=("tok",),
        gone=("no saved session found", "session not found", "no conversation found"),
        first_output=300.0,
        idle=1200.0,
    )

    def command(self, call: Invocation) -> Command:
        argv = ["qwen", "-o", "stream-json", "--json-schema", json.dumps(ANSWER_SCHEMA), *_ACCESS[call.access]]
        if call.model:
            argv += ["-m", call.model]
        argv += ["--resume", call.resume] if call.resume else ["--session-id", str(uuid.uuid4())]
        lead = f"{STRUCTURED_LEAD}{replace(call, unseen=()).before}\n{turns_in_prompt(call)}"
        env = {"QWEN_CODE_SUPPRESS_YOLO_WARNING": "1"}
        return Command(tuple(argv), f"{lead}{call.prompt}".encode(), env)

    def reader(self, call: Invocation) -> _Events:
        return _Events(call)


class _Events(claude.Events):
    answer_tool: ClassVar = "structured_output"
    answer_key: ClassVar = "structured_result"

    @staticmethod
    def tokens(usage: object) -> dict[str, int]:
        return {name: count for name, key in _TOKENS if (count := count_of(usage, key)) is not None}


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a tool and what it works on, words; None for the rest."""
    return claude.describe(event)
