"""`opencode`: run as `opencode run --format json` with the prompt on stdin; its final message is a response file.

Seen with 1.18.33: it has no schema for its answer, so the prompt asks for one in words. What it would ask a
person about is refused and ends the run with exit code 0 and no words, so every permission is allowed or
denied beforehand: a denial is a result that the model reads. The permissions are those of an agent of our
own, given in OPENCODE_CONFIG_CONTENT: those of `plan` and `build` may be changed in the user's files, and
`plan` is told to plan instead of answering. With a title given, no model call is spent on making one.
An error is retried for a minute or more in silence (a refused key is not), then comes as one event.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gitrelay.peers import voice
from gitrelay.peers.answers import Said, written_lead
from gitrelay.peers.base import Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import EventReader, count_of, text_of
from gitrelay.peers.responses import Address

# the last rule that matches holds; what is named is not left to a rule of the same agent in a project's file
PERMISSION: Final[dict[str, dict[str, str]]] = {
    "read": {
        **dict.fromkeys(("*", "bash", "edit", "external_directory", "skill", "task", "webfetch", "websearch"), "deny"),
        **dict.fromkeys(("glob", "grep", "list", "read"), "allow"),
    },
    "write": {
        **dict.fromkeys(("*", "bash", "edit", "glob", "grep", "list", "read", "task", "webfetch"), "allow"),
        **dict.fromkeys(("doom_loop", "external_directory", "question"), "deny"),
    },
    "full": {"*": "allow", "question": "deny"},
}
_AGENT: Final = "gitrelay"
# why a model call ended without an answer
_CUT: Final = {
    "length": ("bad-output", "the model's answer was cut off at its output limit"),
    "content-filter": ("refused", "the model ended with content-filter"),
    "error": ("peer-failed", "the model ended with error"),
}
_DENIED: Final = re.compile(r"permission|rejected|prevents you from", re.IGNORECASE)


# what a step tells of its tokens; its `input` is that beside the cache, read and written
_TOKENS: Final = (
    ("input", ("input",)),
    ("input", ("cache", "read")),
    ("input", ("cache", "write")),
    ("cached", ("cache", "read")),
    ("output", ("output",)),
)


class OpenCode:
    name = "opencode"
    capabilities = Capabilities(
        program="opencode",
        access=tuple(PERMISSION),
        events=True,
        minimum=(1, 1, 1),  # the first in which `permission` rules over every tool; 1.18 is what is tested
        resumes=True,
        measures=("tok", "usd"),
        reports=("tok", "usd"),
        gone=("session not found", "notfounderror"),
        first_output=300.0,
        idle=1200.0,
    )

    def command(self, call: Invocation) -> Command:
        argv = ["opencode", "run", "--format", "json", "--title", f"gitrelay {call.folder.name}", "--agent", _AGENT]
        if call.access == "full":
            argv += ["--auto"]
        if call.model:
            argv += ["-m", call.model]
        if call.effort:
            argv += ["--variant", call.effort]
        if call.resume:
            argv += ["-s", call.resume]
        agent = {"mode": "primary", "permission": PERMISSION[call.access]}
        libraries = call.folder / "libraries"  # 5.6 MB, unpacked on every start and left behind
        libraries.mkdir(exist_ok=True)
        env = {"OPENCODE_CONFIG_CONTENT": json.dumps({"agent": {_AGENT: agent}}), "BUN_TMPDIR": str(libraries)}
        return Command(tuple(argv), f"{written_lead(call)}\n{call.prompt}".encode(), env)

    def reader(self, call: Invocation) -> _Events:
        return _Events(call)


class _Events(EventReader):
    def __init__(self, call: Invocation) -> None:
        super().__init__()
        self._said = Said(Address.of(call), glue="\n")
        self._error: tuple[str, str] | None = None
        self._terminal = False
        self._session: str | None = None
        self._tokens: dict[str, int] = {}
        self._cost = 0.0
        self._denied: list[str] = []

    def event(self, event: dict[str, Any]) -> bool:
        self._session = text_of(event, "sessionID") or self._session
        kind, part = event.get("type"), event.get("part")
        if kind == "text":
            self._said.say((text_of(part, "text") or "").rstrip("\n"), text_of(part, "id") or object())
        elif kind == "tool_use":
            self._said.use_tool()
            if _DENIED.search(text_of(part, "state", "error") or ""):
                self._denied.append(text_of(part, "tool") or "a tool")
        elif kind == "step_start":
            self.finished = False
        elif kind == "step_finish":
            self._step(part)
        elif kind == "error" and not self._terminal:  # what fails afterwards takes no answer back
            self._error = _error(event)
        return kind in ("text", "reasoning", "tool_use", "step_start", "step_finish")

    def _step(self, part: object) -> None:
        """The end of one model call; the last one ends the run."""
        for name, path in _TOKENS:
            count = count_of(part, "tokens", *path)
            if count is not None:
                self._tokens[name] = self._tokens.get(name, 0) + count
        cost = part.get("cost") if isinstance(part, dict) else None
        self._cost += cost if isinstance(cost, int | float) and not isinstance(cost, bool) else 0.0
        reason = text_of(part, "reason")
        if reason == "tool-calls":
            self.finished = False
        elif reason in _CUT:
            self._error = self._error if self._terminal else _CUT[reason]
        else:
            self.finished = self._terminal = True
            self._error = None
        self.spent = self._usage()

    def _usage(self) -> dict[str, str]:
        usage = {name: str(count) for name, count in self._tokens.items()}
        if self._cost:  # 0 is that of a model whose price it does not know
            usage["cost_usd"] = f"{self._cost:.6f}"
        return usage

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer, fault = self._said.answer(in_words=True)
        error = self._error
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
            peer_session=self._session,
            usage=self._usage(),
        )


def _error(event: dict[str, Any]) -> tuple[str, str]:
    name = text_of(event, "error", "name") or "error"
    status = count_of(event, "error", "data", "statusCode")
    words = text_of(event, "error", "data", "message") or name
    reason = "auth" if name == "ProviderAuthError" else voice.reason_of_status(status, words)
    return reason, f"{status}: {words}" if status else words


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a tool and what it works on, words, an error; None for the rest."""
    kind, part = event.get("type"), event.get("part")
    if kind == "error":
        return _error(event)[1]
    if kind == "text":
        return f"says: {text_of(part, 'text') or ''}"
    if kind != "tool_use" or not isinstance(part, dict):
        return None
    state = part.get("state")
    given = state.get("input") if isinstance(state, dict) else None
    what = next((v for v in given.values() if isinstance(v, str)), "") if isinstance(given, dict) else ""
    return f"{text_of(part, 'tool')}: {what}"
