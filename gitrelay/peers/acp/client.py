"""The client's side of the Agent Client Protocol, version 1, for one turn. It does no I/O: bytes come in by `feed`,
what is to be sent goes to the function that `talk` was given.

The order is initialize, session/new (or resume, or load), the mode, the model, the prompt. What an agent sends besides
is read with care: unknown notifications count for nothing, unknown requests get an error, noise between the messages is
kept as noise, and there is a limit to each thing that can be repeated. `_end_of_turn` alone says when a turn is over,
and is what version 2 of the protocol changes.

The official SDK for Python is not used: its import takes 0.8 s of processor time for each call, and it has an error and
a traceback for everything that it does not know (tests/peers/test_acp_sdk.py). The protocol is one JSON message a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from gitrelay import __version__
from gitrelay.peers import voice
from gitrelay.peers.acp import messages, policy
from gitrelay.peers.acp.known import Known
from gitrelay.peers.acp.usage import Used
from gitrelay.peers.acp.words import Words
from gitrelay.peers.answers import form_of
from gitrelay.peers.base import Answer, Invocation, Transcript
from gitrelay.peers.events import EventReader, text_of
from gitrelay.peers.responses import Address
from gitrelay.protocol import question
from gitrelay.protocol.question import Question

PROTOCOL: Final = 1
GONE: Final = "the conversation could not be resumed"
_LIFT: Final = 3  # prompts after a refusal that ended the turn without an answer
_ASKED_MAX: Final = 500  # permissions that are asked for
_REQUESTS_MAX: Final = 2000  # requests of every other kind
_BYTES_MAX: Final = 128 * 1024 * 1024  # of everything that the agent sends in a turn
_NOT_ALLOWED: Final = (
    "That tool call was refused: you have {access} access. Go on without it, and end with the response that was asked "
    "for, in its form:\n\n{form}"
)
_WORKING: Final = frozenset({"agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan"})
Send = Callable[[bytes | None], None]


class Client(EventReader):
    """Holds one turn with the agent; `prompt` is all that it is told. `spent` and `fatal` as in `base.Reader`."""

    def __init__(self, call: Invocation, known: Known | None, read_mode: str | None, prompt: str) -> None:
        super().__init__()
        self._call, self._known, self._prompt = call, known, prompt
        modes = dict(known.modes) if known is not None else {}
        self._mode = read_mode if call.access == "read" and read_mode else modes.get(call.access)
        self._words = Words(Address.of(call))
        self._send: Send = lambda data: None
        self._waiting: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._failing: dict[int, Callable[[tuple[str, str]], None]] = {}
        self._last_id = 0
        self._size = 0
        self._asked = self._requests = self._lifts = 0
        self._prompting = self._terminal = self._refused_now = self._cancelling = False
        self._session: str | None = None
        self._resumable = self._met = False
        self._mode_set: messages.Request | None = None
        self._version: str | None = None
        self._model: str | None = None
        self._error: tuple[str, str] | None = None
        self._question: Question | None = None
        self._denied: list[str] = []
        self._used = Used(known.cumulative if known is not None else ())

    # -- what goes out -----------------------------------------------------------------------------

    def talk(self, send: Send) -> None:
        """Begin; `send` takes bytes for the agent's stdin, None closes it."""
        self._send = send
        if not self._call.keep:  # else its keeper says first whether it has worked for this session before
            self._initialize()

    def _initialize(self) -> None:
        able = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False, "elicitation": {"form": {}}}
        params = {
            "protocolVersion": PROTOCOL,
            "clientCapabilities": able,
            "clientInfo": {"name": "gitrelay", "title": "gitrelay", "version": __version__},
        }
        self._request("initialize", params, self._initialized)

    def hang_up(self) -> None:
        """The turn is to end now: tell the agent, and close its stdin."""
        self._cancel()
        self._send(None)

    def _cancel(self) -> None:
        if self._prompting and self._session is not None and not self._cancelling:
            self._cancelling = True
            self._put({"method": "session/cancel", "params": {"sessionId": self._session}})

    def _put(self, message: dict[str, Any]) -> None:
        self._send(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def _request(
        self,
        method: str,
        params: dict[str, Any],
        then: Callable[[dict[str, Any]], None],
        otherwise: Callable[[tuple[str, str]], None] | None = None,
    ) -> None:
        self._last_id += 1
        self._waiting[self._last_id] = then
        self._failing[self._last_id] = otherwise or self._fail
        self._put({"id": self._last_id, "method": method, "params": params})

    def _fail(self, error: tuple[str, str]) -> None:
        """There will be no answer: let the agent end."""
        self._error = self._error or error
        self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._prompting = False
        self._send(None)

    # -- what comes in -----------------------------------------------------------------------------

    def feed(self, data: bytes) -> bool:
        self._size += len(data)
        if self._size > _BYTES_MAX:
            self.fatal = self.fatal or ("bad-output", f"the agent sent more than {_BYTES_MAX} bytes in one turn")
            return False
        return super().feed(data)

    def event(self, event: dict[str, Any]) -> bool:
        if self.finished or self.fatal is not None:
            return False
        method, id_ = event.get("method"), event.get("id")
        params = event.get("params")
        params = params if isinstance(params, dict) else {}
        if self._call.keep and not self._met:
            self._meet(params if method == "gitrelay/agent" else {})
            return False
        if isinstance(method, str):
            if id_ is None:
                return method == "session/update" and self._update(params)
            self._answer_request(method, id_, params)
            return method in ("session/request_permission", "elicitation/create")
        return self._response(event, id_)

    def _response(self, event: dict[str, Any], id_: object) -> bool:
        """A response to one of our own requests; any other is none of ours."""
        if isinstance(id_, bool) or not isinstance(id_, int) or id_ not in self._waiting:
            return False
        then, otherwise = self._waiting.pop(id_), self._failing.pop(id_)
        result = event.get("result")
        if isinstance(event.get("error"), dict):
            otherwise(messages.error_of(event["error"]))
        else:
            then(result if isinstance(result, dict) else {})
        return False

    def _answer_request(self, method: str, id_: object, params: dict[str, Any]) -> None:
        """A request of the agent's. Only two kinds are known; files and terminals were not offered."""
        if method == "session/request_permission":
            self._asked += 1
            if self._asked > _ASKED_MAX:
                self.fatal = ("peer-failed", f"it asked for permission more than {_ASKED_MAX} times")
                return
            self._words.use_tool()
            self._put({"id": id_, "result": {"outcome": self._permission(params)}})
            return
        self._requests += 1
        if self._requests > _REQUESTS_MAX:
            self.fatal = ("peer-failed", f"the agent sent more than {_REQUESTS_MAX} requests")
        elif method == "elicitation/create":
            self._put({"id": id_, "result": {"action": "cancel"}})
            self._elicited(params)
        else:
            words = f"gitrelay does not offer {method[:100]}"
            self._put({"id": id_, "error": {"code": -32601, "message": words}})

    def _permission(self, params: dict[str, Any]) -> dict[str, Any]:
        call = params.get("toolCall")
        call = call if isinstance(call, dict) else {}
        own = self._call
        allowed = policy.allows(own.access, call, own.cwd, own.start) and params.get("sessionId") == self._session
        chosen = policy.option(params.get("options"), allowed) if not self._cancelling else None
        if not allowed:
            self._refused_now = True
            self._denied.append((text_of(call, "kind") or text_of(call, "title") or "a tool")[:100])
        return {"outcome": "cancelled"} if chosen is None else {"outcome": "selected", "optionId": chosen}

    def _elicited(self, params: dict[str, Any]) -> None:
        """The agent asks its user something: it becomes the question of the response, and the turn ends."""
        asked = text_of(params, "message") or ""
        if asked.strip() and self._question is None:
            options = messages.options_of(params.get("requestedSchema"))
            self._question = question.of_value({"question": asked, "options": options})
        if self._question is not None:
            self._cancel()

    def _update(self, params: dict[str, Any]) -> bool:
        update = params.get("update")
        if not self._prompting or not isinstance(update, dict) or params.get("sessionId") != self._session:
            return False  # the history that session/load plays again, or another session
        kind = update.get("sessionUpdate")
        if kind == "agent_message_chunk":
            text = text_of(update, "content", "text") or ""
            self._used.chunk(update.get("_meta"))
            self._words.say(text, text_of(update, "messageId"))
            if self._words.too_much:
                self.fatal = ("bad-output", "its message is longer than a response can be")
            return bool(text)
        if kind == "tool_call":
            self._words.use_tool()
        elif kind == "tool_call_update":
            self._words.pause()
        elif kind == "usage_update":
            self._used.cost(update.get("cost"))
            self.spent = self._used.usage
        elif kind == "current_mode_update":
            self._moded(text_of(update, "currentModeId") or "")
        return kind in _WORKING

    def _moded(self, mode: str) -> None:
        if self._call.access == "read" and self._mode and not messages.is_mode(mode, self._mode):
            self.fatal = (
                "peer-failed",
                f"it left the mode {self._mode}, by which it is held to read access: {mode[:60]}",
            )

    # -- an agent that is kept ---------------------------------------------------------------------

    def _meet(self, params: dict[str, Any]) -> None:
        """The keeper's first word: what the turn before has left with `_keep`, or that the agent is new."""
        self._met = True
        kept = params.get("kept")
        if not isinstance(kept, dict):
            self._initialize()
            return
        self._session = text_of(kept, "session")
        self._version, self._model = text_of(kept, "version"), text_of(kept, "model")
        self._resumable = True
        id_ = kept.get("last_id")
        self._last_id = id_ if isinstance(id_, int) else 10_000  # an answer that comes late is none of this turn's
        mode = kept.get("set_mode")
        if isinstance(mode, list) and len(mode) == 2 and isinstance(mode[1], dict):
            # again: between the turns it may have left it
            self._mode_set = (str(mode[0]), mode[1])
            self._request(*self._mode_set, lambda _: self._ask(self._prompt))
        else:
            self._ask(self._prompt)

    def _keep(self) -> None:
        """The turn has ended well: leave the agent to its keeper, with what the next turn has to know."""
        state = {
            "session": self._session,
            "version": self._version,
            "model": self._model,
            "last_id": self._last_id,
            "set_mode": self._mode_set,
        }
        self._put({"method": "gitrelay/keep", "params": state})

    # -- the steps ---------------------------------------------------------------------------------

    def _initialized(self, result: dict[str, Any]) -> None:
        spoken = result.get("protocolVersion")
        if spoken != PROTOCOL:
            self._fail(("unavailable", f"it speaks version {str(spoken)[:20]} of the protocol, gitrelay version 1"))
            return
        self._version = (text_of(result, "agentInfo", "version") or "")[:60] or None
        least = self._known.minimum if self._known is not None else ()
        if least and self._version and messages.numbers(self._version) < least:
            wanted = ".".join(map(str, least))
            self._fail(("unavailable", f"it is {self._version}, too old: gitrelay needs {wanted} or newer"))
            return
        resume = messages.resume_method(result)
        self._resumable = resume is not None and (self._known is None or self._known.resumes)
        place: dict[str, Any] = {"cwd": str(self._call.start), "mcpServers": []}
        if self._call.resume is None:
            self._request("session/new", place, self._opened)
        elif self._resumable and resume is not None:
            self._session = self._call.resume
            self._request(resume, {"sessionId": self._session, **place}, self._opened, self._lost)
        else:
            self._lost(("peer-failed", "it does not offer that"))

    def _lost(self, error: tuple[str, str]) -> None:
        reason, words = error
        self._session = None
        self._fail(error if reason == "auth" else ("peer-failed", f"{GONE}: {words}"))

    def _opened(self, result: dict[str, Any]) -> None:
        self._session = self._session or text_of(result, "sessionId")
        if not self._session:
            self._fail(("peer-failed", "session/new gave no session"))
            return
        self._model = (text_of(result, "models", "currentModelId") or "")[:120] or None
        self._set_mode(result)

    def _set_mode(self, result: dict[str, Any]) -> None:
        """Where the mode is not offered, read is refused; else the agent's own mode and the policy have to do."""

        def then(_: dict[str, Any]) -> None:
            self._set_model(result)

        def otherwise(error: tuple[str, str]) -> None:
            if self._call.access == "read":
                words = f"it refused the mode {self._mode}, by which it is held to read: {error[1]}"
                self._fail(("unavailable", words))
            else:
                self._set_model(result)

        self._mode_set = messages.mode_request(result, self._session, self._mode) if self._mode else None
        if self._mode_set is not None:
            self._request(*self._mode_set, then, otherwise)
        elif self._call.access == "read" and (self._mode or messages.modes_of(result)):
            have = ", ".join(messages.modes_of(result)[:10]) or "none"
            self._fail(("unavailable", f"it offers no mode {self._mode}, by which it is held to read; it has {have}"))
        else:
            self._set_model(result)

    def _set_model(self, result: dict[str, Any]) -> None:
        model = self._call.model

        def then(_: dict[str, Any]) -> None:
            self._model = model or self._model
            self._set_effort(result)

        if model is None:
            self._set_effort(result)
        else:
            self._request(*messages.model_request(result, self._session, model), then)

    def _set_effort(self, result: dict[str, Any]) -> None:
        """An agent that has no such option works with its own."""
        effort = self._call.effort
        request = messages.effort_request(result, self._session, effort) if effort is not None else None
        if request is None:
            self._ask(self._prompt)
        else:
            self._request(*request, lambda _: self._ask(self._prompt))

    def _ask(self, text: str) -> None:
        self._prompting, self._refused_now = True, False
        if self._call.keep:
            self._put({"method": "gitrelay/prompting"})
        params = {"sessionId": self._session, "prompt": [{"type": "text", "text": text}]}
        self._request("session/prompt", params, self._end_of_turn)

    def _end_of_turn(self, result: dict[str, Any]) -> None:
        """The turn is over: in version 1, because the prompt is answered."""
        self._used.turn(result)
        self.spent = self._used.usage
        stop = text_of(result, "stopReason") or ""
        good = stop == "end_turn"
        answered = good and self._words.answer()[0] is not None
        if not answered and self._refused_now and stop in ("end_turn", "cancelled") and not self._cancelling:
            self._lifts += 1
            if self._lifts <= _LIFT:
                self._words.use_tool()
                self._ask(_NOT_ALLOWED.format(access=self._call.access, form=form_of(self._call.prompt)))
                return
        self._terminal = good or self._question is not None
        if not self._terminal:
            self._error = messages.STOPS.get(stop) or (
                "peer-failed",
                f"it ended the turn with {stop[:60] or 'no stopReason'}",
            )
        elif answered and self._call.keep and self._resumable and not self._cancelling:
            self._keep()
        self._finish()

    # -- the end -----------------------------------------------------------------------------------

    def transcript(self, exit_code: int | None) -> Transcript:
        self.close()
        answer, fault = self._words.answer()
        error = self._error
        if answer is None and self._question is not None:
            answer = Answer(
                "error", "skip", question.body_of(self._question, self._words.text), reason=question.NEEDS_INPUT
            )
        if error is None and answer is None:
            error = voice.own_words(self._words.final) or messages.said_as_error(self._words.final)
        return Transcript(
            answer=answer if error is None else None,
            terminal=self._terminal,
            error=error,
            fault="" if answer is not None else fault,
            text=self._words.text,
            printed="\n".join(part for part in (self._words.notices, self.printed) if part),
            garbled=self.garbled,
            denied=tuple(self._denied),
            model=self._used.model or self._model,
            peer_session=self._session if self._resumable else None,
            version=self._version,
            usage=self._used.usage,
        )
