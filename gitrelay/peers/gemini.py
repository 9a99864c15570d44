"""`gemini`: Gemini CLI, run headless with the prompt on stdin; its final message is a response file.

Seen with 0.61.0: it has no schema for its answer, so the prompt asks for one in words. Its plan mode is
not read-only without a person: `exit_plan_mode` is then approved by itself and everything may be written,
so read access is a policy that denies whatever it does not name. Its file tools refuse what git ignores,
and the turns of a session are ignored, so those that it does not know are put into the prompt. An error
comes as a `result` event on stdout, after up to ten attempts (a refused key: one); the exit code is the
HTTP status modulo 256. If no model is chosen, a small one grades the question first: one call more.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from gitrelay.peers import voice
from gitrelay.peers.answers import Said, written_lead
from gitrelay.peers.base import Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import EventReader, count_of, text_of
from gitrelay.peers.responses import Address
from gitrelay.peers.turns import turns_in_prompt

# auto_edit alone has no shell; yolo would also leave the working tree with its file tools' blessing
_MODE: Final = {"read": "default", "write": "auto_edit", "full": "yolo"}
# 998 and 999 are above everything but an administrator's rules: the user's settings reach 950
_POLICY: Final = {
    "read": """\
[[rule]]
toolName = "*"
decision = "deny"
priority = 998

[[rule]]
toolName = ["glob", "grep_search", "list_directory", "read_file", "read_many_files", "update_topic"]
decision = "allow"
priority = 999
""",
    "write": """\
[[rule]]
toolName = ["enter_plan_mode", "exit_plan_mode"]
decision = "deny"
priority = 999

[[rule]]
toolName = "run_shell_command"
decision = "allow"
allowRedirection = true
priority = 999
""",
}
_CODE = re.compile(r'"code":\s*(\d{3})\b')
# exit codes without a result
_ENDINGS: Final = {
    41: ("auth", "it is not logged in"),
    53: ("peer-failed", "the maximum number of turns was reached"),
}
_DENIED: Final = re.compile(r"polic|denied|not allowed|rejected|cancell?ed by user", re.IGNORECASE)


class Gemini:
    name = "gemini"
    capabilities = Capabilities(
        program="gemini",
        access=tuple(_MODE),
        events=True,
        minimum=(0, 31),  # the first with --policy; 0.61 is what is tested
        resumes=True,
        reports=("tok",),
        gone=("invalid session identifier", "no previous sessions found", "error resuming session"),
        first_output=300.0,  # it gives up by itself after 220 s
        idle=1200.0,
    )

    def command(self, call: Invocation) -> Command:
        argv = ["gemini", "-o", "stream-json", "--skip-trust", "--approval-mode", _MODE[call.access]]
        if call.access in _POLICY:
            policy = call.folder / "policy.toml"
            policy.write_text(_POLICY[call.access], "utf-8")
            argv += ["--policy", str(policy)]
        if call.model:
            argv += ["-m", call.model]
        if call.resume:
            argv += ["-r", call.resume]
        lead = written_lead(replace(call, unseen=()))  # nothing is to be read: it could not
        # started again by itself for a larger heap, it would ignore a SIGTERM and take 0.6 s more
        env = {"GEMINI_CLI_NO_RELAUNCH": "true"}
        return Command(tuple(argv), f"{lead}\n{turns_in_prompt(call)}{call.prompt}".encode(), env)

    def reader(self, call: Invocation) -> _Events:
        return _Events(call)


class _Events(EventReader):
    def __init__(self, call: Invocation) -> None:
        super().__init__()
        self._said = Said(Address.of(call), glue="\n")
        self._chunks = 0  # numbers the messages, which have no names
        self._result: dict[str, Any] | None = None
        self._good = False
        self._session: str | None = None
        self._model: str | None = None
        self._trouble: str | None = None
        self._denied: list[str] = []
        self._tools: dict[str, str] = {}

    def event(self, event: dict[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "init":
            self._session, self._model = text_of(event, "session_id") or self._session, text_of(event, "model")
        elif kind == "message" and event.get("role") == "assistant":
            self.finished = False
            self._say(text_of(event, "content") or "", streamed=event.get("delta") is True)
            return True
        elif kind in ("tool_use", "tool_result"):
            self._chunks += 1
            self._said.use_tool()
            self._tool(event)
            return True
        elif kind == "error":
            self._trouble = text_of(event, "message") or self._trouble
        elif kind == "result":
            good = event.get("status") == "success"
            if good or not self._good:  # what fails afterwards takes no answer back
                self._result = event
            self._good = self._good or good
            self.finished = self.finished or good
            return good
        return False

    def _say(self, text: str, *, streamed: bool) -> None:
        if streamed:
            self._said.stream(text, self._chunks)
        else:  # a whole message, perhaps one that was streamed before
            self._said.say(text, self._chunks)
            self._chunks += 1

    def _tool(self, event: dict[str, Any]) -> None:
        id_ = text_of(event, "tool_id") or ""
        self._tools[id_] = text_of(event, "tool_name") or self._tools.get(id_, "a tool")
        words = text_of(event, "error", "message") or text_of(event, "output") or ""
        if event.get("status") == "error" and _DENIED.search(f"{text_of(event, 'error', 'type')} {words[:500]}"):
            self._denied.append(self._tools[id_])

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer, fault = self._said.answer(in_words=True)
        error = self._error(exit_code)
        if error is None and (answer is None or answer.plain):
            error = voice.own_words(self._said.final)
        return Transcript(
            answer=answer if error is None else None,
            terminal=self._good,
            error=error,
            fault=fault,
            text=self._said.text,
            printed=self.printed,
            garbled=self.garbled,
            denied=tuple(self._denied),
            model=_model(self._result) or (None if self._model == "auto" else self._model),
            peer_session=self._session,
            usage=_usage(self._result),
        )

    def _error(self, exit_code: int | None) -> tuple[str, str] | None:
        if self._good:
            return None
        if self._result is not None:
            words = text_of(self._result, "error", "message") or self._trouble or "it ended with an error"
            code = _CODE.search(words)
            status = int(code[1]) if code else _http_status(exit_code)
            reason = voice.reason_of_status(status, words)
            return reason, f"{status}: {words}" if status and not code else words
        if exit_code in _ENDINGS:
            reason, words = _ENDINGS[exit_code]
            return reason, f"{words}: {self._trouble}" if self._trouble else words
        if self._trouble is not None:
            return voice.reason_of_status(None, self._trouble), self._trouble
        return None


def _http_status(exit_code: int | None) -> int | None:
    """400 to 511, which the exit code is modulo 256; lower ones mean other things too (130, 143)."""
    return exit_code + 256 if exit_code is not None and 144 <= exit_code <= 255 else None


def _model(result: dict[str, Any] | None) -> str | None:
    """The model that said the most: a small one grades the question."""
    stats = result.get("stats") if result else None
    models = stats.get("models") if isinstance(stats, dict) else None
    if not isinstance(models, dict) or not models:
        return None
    return str(max(reversed(models), key=lambda name: count_of(models[name], "total_tokens") or 0))


def _usage(result: dict[str, Any] | None) -> dict[str, str]:
    pairs = (("input", "input_tokens"), ("cached", "cached"), ("output", "output_tokens"))
    counts = {name: count_of(result, "stats", key) for name, key in pairs}
    return {name: str(count) for name, count in counts.items() if count is not None}


def describe(event: dict[str, Any]) -> str | None:
    """One event as a short line: a tool and what it works on, words, an error; None for the rest."""
    kind = event.get("type")
    if kind == "tool_use":
        given = event.get("parameters")
        what = next((v for v in given.values() if isinstance(v, str)), "") if isinstance(given, dict) else ""
        return f"{text_of(event, 'tool_name')}: {what}"
    if kind == "message" and event.get("role") == "assistant":
        return f"says: {text_of(event, 'content') or ''}"
    if kind == "error":
        return text_of(event, "message")
    return text_of(event, "error", "message") if kind == "result" else None
