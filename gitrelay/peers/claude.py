"""`claude`: Claude Code, run as `claude -p` with the prompt on stdin and a JSON schema for its answer.

Seen with 2.1.332: the schema becomes a tool that the model calls once, so a question costs one round
trip in every permission mode. Exit 0 proves nothing: an API error comes as `subtype: success` with
`is_error: true`, an aborted start as `num_turns: 0` with an empty result.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, Final

from gitrelay.peers import moved, voice
from gitrelay.peers.answers import ANSWER_SCHEMA, STRUCTURED_LEAD, Said
from gitrelay.peers.base import Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import EventReader, count_of, text_of
from gitrelay.peers.responses import Address

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
        measures=("tok",),
        reports=("tok", "usd"),
        gone=("no conversation found", "session not found"),
        first_output=300.0,
        idle=1200.0,  # its Bash tool ends or backgrounds a command after 600 s
    )

    def command(self, call: Invocation) -> Command:
        argv = ["claude", "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--json-schema", json.dumps(ANSWER_SCHEMA), *_ACCESS[call.access]]
        argv += moved.for_claude(call)
        if call.model:
            argv += ["--model", call.model]
        if call.effort:
            argv += ["--effort", call.effort]
        if call.budget_usd:
            argv += ["--max-budget-usd", call.budget_usd]
        if call.resume:
            argv += ["--resume", call.resume]
        else:
            import uuid

            argv += ["--session-id", str(uuid.uuid4())]
        return Command(argv=tuple(argv), stdin=f"{STRUCTURED_LEAD}{call.before}\n{call.prompt}".encode())

    def reader(self, call: Invocation) -> Events:
        return Events(call)


# words for a subtype that comes without any
_ENDINGS: Final = {
    "error_max_turns": "the maximum number of turns was reached",
    "error_max_budget_usd": "the budget of the call was used up",
}
_COMMAND: Final = re.compile(r"<local-command-std(?:err|out)>(.*?)</local-command-std(?:err|out)>", re.DOTALL)


class Events(EventReader):
    """Everything is kept until the end: a later result that is an error or blank takes nothing back.

    The class variables and `tokens` are what differs in qwen, whose events are of the same kind.
    """

    answer_tool: ClassVar = "StructuredOutput"
    answer_key: ClassVar = "structured_output"  # in a result

    def __init__(self, call: Invocation) -> None:
        super().__init__()
        self._said = Said(Address.of(call))
        self._own: list[str] = []  # what claude itself says
        self._results: list[dict[str, Any]] = []
        self._partial: dict[int, list[str]] = {}  # the input of a structured-output call, as it is streamed
        self._message = ""
        self._session: str | None = None
        self._version: str | None = None
        self._model: str | None = None
        self._retry: tuple[int | None, str] | None = None
        self._reset = ""
        self._refusal = False
        self._calls: dict[object, dict[str, int]] = {}  # message id -> its tokens: one model call each

    def event(self, event: dict[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "system":
            self._system(event)
            return False
        if kind == "rate_limit_event":
            limit = event.get("rate_limit_info")
            if text_of(limit, "status") == "rejected":
                self._reset = voice.reset_of(limit)
            return False
        if kind == "assistant":
            return self._assistant(event)
        if kind == "user":
            self._own += _COMMAND.findall(text_of(event, "message", "content") or "")
            return True
        if kind == "stream_event":
            self._stream(event.get("event"))
            return True
        if kind == "result":
            self._results.append(event)
            self._session = text_of(event, "session_id") or self._session
            self.spent = self._usage(event) or self.spent
            if _is_success(event):
                self._said.end(event.get(self.answer_key), text_of(event, "result"))
                self.finished = True
            return True
        return False

    def _system(self, event: dict[str, Any]) -> None:
        subtype = event.get("subtype")
        if subtype == "init":
            self._session = text_of(event, "session_id") or self._session
            self._version = text_of(event, "claude_code_version")
            self._model = text_of(event, "model")
        elif subtype == "api_retry":
            status, words = count_of(event, "error_status"), text_of(event, "error") or "no answer from the API"
            self._retry = (status, words)
            if status in (401, 403):
                # it would try eleven times, three minutes, and a wrong key does not get better
                self.fatal = ("auth", f"the API answered {status}: {words}")

    def _assistant(self, event: dict[str, Any]) -> bool:
        message = event.get("message")
        model = text_of(message, "model")
        blocks = _blocks(message)
        if event.get("error") is not None or model == "<synthetic>":
            self._own += [text for block in blocks if (text := text_of(block, "text"))]
            return False
        self._model = model or self._model
        self.finished = False  # it works on: a task in the background has ended
        self._refusal = text_of(message, "stop_reason") == "refusal"
        key = text_of(message, "id") or object()
        self._count(message, key)
        for block in blocks:
            if text_of(block, "name") == self.answer_tool:
                self._said.calls.append(block.get("input"))
            elif text_of(block, "type") == "tool_use":
                self._said.use_tool()
            elif text := text_of(block, "text"):
                self._said.say(text, key)
        return True

    def _count(self, message: object, key: object) -> None:
        """A message comes once for each of its blocks, with the same usage; what it says last counts."""
        usage = message.get("usage") if isinstance(message, dict) else None
        counts = self.tokens(usage)
        if not counts:
            return
        self._calls[key] = counts
        names = dict.fromkeys(name for one in self._calls.values() for name in one)
        self.spent = {name: str(sum(one.get(name, 0) for one in self._calls.values())) for name in names}

    def _stream(self, event: object) -> None:
        """Pieces of a message, which come if partial messages are asked for by the user's settings."""
        kind, index = text_of(event, "type"), count_of(event, "index") or 0
        self._message = text_of(event, "message", "id") or self._message
        if text := text_of(event, "delta", "text"):
            self._said.stream(text, self._message)
        elif kind == "content_block_start" and text_of(event, "content_block", "name") == self.answer_tool:
            self._partial[index] = []
        elif index in self._partial:
            self._partial[index].append(text_of(event, "delta", "partial_json") or "")
            if kind == "content_block_stop":
                self._said.calls.append("".join(self._partial.pop(index)))

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        good = [result for result in self._results if _is_success(result)]
        answer, fault = self._said.answer(in_words=False)
        error = None if answer is not None and good else self._error(good)
        if not good and self._said.final:
            fault = "it ended without its final event"
        return Transcript(
            answer=answer if error is None else None,
            terminal=bool(good),
            error=error,
            fault=fault,
            text=self._said.text,
            printed="\n".join([*self._own, self.printed]),
            garbled=self.garbled,
            denied=_denied(self._results),
            model=self._model,
            peer_session=self._session,
            version=self._version,
            usage=self._usage(good[-1] if good else self._results[-1] if self._results else None) or self.spent,
        )

    def _error(self, good: list[dict[str, Any]]) -> tuple[str, str] | None:
        """(reason, words) if claude itself says why there is no answer."""
        bad = [result for result in self._results if not _is_success(result)]
        if bad and not good:
            return self._failure(bad[0])
        own = next((words for words in reversed(self._own) if words.strip()), "")
        said = self._said.final.strip()
        spoken = voice.own_words(said) or (own and voice.own_words(own))
        if spoken or (own and said in ("", own.strip())):
            reason, words = spoken or (voice.reason_of_status(None, own), own.strip())
            return reason, f"{words}; {self._reset}" if self._reset and reason == "quota" else words
        if self._refusal or any(text_of(result, "stop_reason") == "refusal" for result in good):
            return "refused", "the model's provider refused the request by its policy"
        if good:
            failed = next((self._failure(result) for result in bad), None)
            none = not said and not self._said.calls and not self._said.structured
            if none and count_of(good[-1], "num_turns") == 0:
                return failed or ("no-output", "no turn was made")
            return failed if none else None
        if self._retry is not None:
            status, words = self._retry
            reason = voice.reason_of_status(status, words)
            return reason, f"the API did not answer: {status or 'no connection'} {words}"
        return None

    @staticmethod
    def tokens(usage: object) -> dict[str, int]:
        """The tokens that a `usage` tells. Its `input_tokens` are those beside the cache, read and written."""
        counts = {
            name: count
            for name, key in (
                ("input", "input_tokens"),
                ("cached", "cache_read_input_tokens"),
                ("written", "cache_creation_input_tokens"),
                ("output", "output_tokens"),
            )
            if (count := count_of(usage, key)) is not None
        }
        written = counts.pop("written", 0)
        if "input" in counts:
            counts["input"] += counts.get("cached", 0) + written
        return counts

    def _usage(self, result: dict[str, Any] | None) -> dict[str, str]:
        usage = {name: str(count) for name, count in self.tokens(result.get("usage") if result else None).items()}
        cost = result.get("total_cost_usd") if result else None
        if isinstance(cost, int | float) and not isinstance(cost, bool):
            usage["cost_usd"] = f"{cost:.6f}"
        return usage

    def _failure(self, result: dict[str, Any]) -> tuple[str, str]:
        subtype = text_of(result, "subtype") or ""
        words = text_of(result, "result") or text_of(result, "error", "message")
        words = words or " ".join(_words(result.get("errors"))) or _ENDINGS.get(subtype) or subtype
        if subtype == "error_max_structured_output_retries":
            return "bad-output", words
        if subtype == "error_max_budget_usd":
            return "budget", words
        reason = voice.reason_of_status(count_of(result, "api_error_status"), words)
        words = voice.with_times(words) or "error"
        return reason, f"{words}; {self._reset}" if self._reset and reason == "quota" else words


def _is_success(result: dict[str, Any]) -> bool:
    """Whether a result ends a turn well; an API error comes as `subtype: success` with `is_error: true`."""
    good = result.get("is_error") is False or (result.get("is_error") is None and result.get("subtype") == "success")
    return good and not (text_of(result, "subtype") or "").startswith("error")


def _blocks(message: object) -> list[dict[str, Any]]:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _denied(results: list[dict[str, Any]]) -> tuple[str, ...]:
    """The tools of the calls that claude refused; a later result may repeat those of an earlier one."""
    found: dict[object, str] = {}
    for result in results:
        denials = result.get("permission_denials")
        for i, denial in enumerate(denials if isinstance(denials, list) else []):
            found[text_of(denial, "tool_use_id") or (id(result), i)] = text_of(denial, "tool_name") or "a tool"
    return tuple(found.values())


def _words(errors: object) -> list[str]:
    return [e for e in errors if isinstance(e, str)] if isinstance(errors, list) else []


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
