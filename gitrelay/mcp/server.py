"""The server of one client on stdin and stdout: what is asked, one thread for each tool call, what is answered.

It speaks the versions with a handshake and the one without (2026-07-28), in which every request says who asks.
Written without the official SDK, whose import takes longer than some hosts wait for a server's tools.

Nothing that comes in ends it: a message that cannot be served is one error, and the next one is read. It ends with
its input; what it waits for then goes on, and is recorded.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

from gitrelay import __version__, environment
from gitrelay.errors import RelayError
from gitrelay.ground.text import plain, quote
from gitrelay.mcp import bounds, tools, wire
from gitrelay.mcp.bounds import Bounds
from gitrelay.mcp.commands import Waiting
from gitrelay.mcp.wire import Fault, Message
from gitrelay.protocol import names

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN_VERSIONS: Final = ("2026-07-28",)
INSTRUCTIONS: Final = (
    "Other coding agents as tools. relay_call asks one and gives its answer; if the result says pending, relay_wait "
    "with the address until it is there. Every call is recorded in git, in this repository."
)
_META: Final = "io.modelcontextprotocol/"
_CALLS_MAX: Final = 16  # tool calls at the same time
_GRACE: Final = 10.0  # seconds for what is being recorded when the input ends
_ROOTS: Final = "gitrelay-roots"  # the id of our one request
_ROOTS_LIMIT: Final = 5.0  # seconds to wait for a client's roots before a call
# the names by which the agents know themselves as clients (measured: codex-mcp-client, claude-code)
_AGENTS: Final = ("codex", "claude", "gemini", "opencode")


class Server:
    """One client's server; `serve` reads until the input ends."""

    def __init__(self, held: Bounds, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._bounds = held
        self._environ = bounds.environ_of(held, os.environ)
        self._in, self._out = stdin, stdout
        self._writing = threading.Lock()
        self._calls: dict[str | int, tuple[Waiting, threading.Thread]] = {}
        self._calling = threading.Lock()
        self._client: Mapping[str, Any] = {}
        self._gives_roots = False
        self._roots_known = threading.Event()
        self._roots_known.set()

    def serve(self) -> None:
        """Until the input ends, or nobody reads the output any more."""
        try:
            for message in wire.messages(self._in):
                if isinstance(message, Fault):
                    self._refuse(message)
                elif not message.method:
                    self._take_answer(message)
                elif message.id is None:
                    self._note(message)
                else:
                    self._request(message)
        except (BrokenPipeError, ConnectionError):
            pass
        finally:
            self._end()

    def _end(self) -> None:
        """Let go of what is waited for. What is just being recorded gets the time to be."""
        self._roots_known.set()
        with self._calling:
            calls = list(self._calls.values())
        for waiting, _ in calls:
            waiting.stop()
        for _, thread in calls:
            thread.join(_GRACE)

    # -- what comes in ----------------------------------------------------------------------------

    def _request(self, message: Message) -> None:
        try:
            if message.method == "tools/call":
                self._begin(message)
            else:
                self._send({"id": message.id, "result": self._answered(message)})
        except Fault as fault:
            self._refuse(Fault(fault.code, fault.message, id_=message.id, data=fault.data))

    def _answered(self, message: Message) -> dict[str, Any]:
        """The result of a request that is answered at once. Raises Fault."""
        if message.method == "initialize":
            return self._initialized(message.params)
        if message.method == "ping":
            return {}
        modern = self._is_modern(message.params)
        if message.method == "tools/list":
            found: dict[str, Any] = {"tools": [tool.to_json() for tool in tools.TOOLS.values()]}
        elif message.method == "server/discover" and modern:
            found = {
                "supportedVersions": [*MODERN_VERSIONS],
                "capabilities": {"tools": {}},
                "instructions": INSTRUCTIONS,
            }
        else:
            raise Fault(wire.NO_METHOD, f"there is no method {quote(message.method)}")
        return found | {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **_ours()} if modern else found

    def _initialized(self, params: Mapping[str, Any]) -> dict[str, Any]:
        asked = params.get("protocolVersion")
        if not isinstance(asked, str):
            raise Fault(wire.INVALID_PARAMS, "protocolVersion is not a string")
        self._know(params.get("clientInfo"), params.get("capabilities"))
        return {
            "protocolVersion": asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
            "capabilities": {"tools": {}},
            "serverInfo": _INFO,
            "instructions": INSTRUCTIONS,
        }

    def _is_modern(self, params: Mapping[str, Any]) -> bool:
        """Whether the request says its own version, and who asks. Raises Fault for a version that is not served."""
        meta = _object(params.get("_meta"))
        version = meta.get(_META + "protocolVersion")
        if version is None:
            return False
        if version not in MODERN_VERSIONS:
            served = [*HANDSHAKE_VERSIONS, *MODERN_VERSIONS]
            told = plain(str(version), 60)
            raise Fault(
                wire.UNSUPPORTED_VERSION,
                f"protocol version {quote(told)} is not served",
                data={"supported": served, "requested": told},
            )
        self._know(meta.get(_META + "clientInfo"), meta.get(_META + "clientCapabilities"))
        return True

    def _know(self, info: object, capabilities: object) -> None:
        self._client = _object(info)
        self._gives_roots = isinstance(_object(capabilities).get("roots"), dict)

    def _note(self, message: Message) -> None:
        if message.method in ("notifications/initialized", "notifications/roots/list_changed"):
            self._ask_roots()
        elif message.method == "notifications/cancelled":
            asked = message.params.get("requestId")
            with self._calling:
                call = self._calls.get(asked) if isinstance(asked, str | int) else None
            if call is not None:
                call[0].stop()  # of the waiting alone: the call goes on

    def _ask_roots(self) -> None:
        if self._gives_roots and self._bounds.repo is None:
            self._roots_known.clear()
            self._send({"id": _ROOTS, "method": "roots/list"})

    def _take_answer(self, message: Message) -> None:
        if message.id == _ROOTS:
            self._bounds = replace(self._bounds, roots=bounds.roots_of(message.params))
            self._roots_known.set()

    # -- tool calls -------------------------------------------------------------------------------

    def _begin(self, message: Message) -> None:
        """Start a tool call in a thread of its own. Raises Fault for what is none."""
        modern = self._is_modern(message.params)
        name = message.params.get("name")
        tool = tools.TOOLS.get(name) if isinstance(name, str) else None
        if tool is None:
            raise Fault(wire.INVALID_PARAMS, f"there is no tool {quote(plain(str(name), 60))}")
        if modern and self._gives_roots and self._bounds.repo is None and not self._bounds.roots:
            said = _object(message.params.get("inputResponses")).get(_ROOTS)
            if said is None:
                needed = {_ROOTS: {"method": "roots/list", "params": {}}}
                self._send({"id": message.id, "result": {"resultType": "input_required", "inputRequests": needed}})
                return
            self._bounds = replace(self._bounds, roots=bounds.roots_of(_object(said)))
        assert message.id is not None
        waiting = Waiting()
        thread = threading.Thread(target=self._call, args=(message, tool, waiting, modern), daemon=True)
        with self._calling:
            if message.id in self._calls:
                raise Fault(wire.INVALID_REQUEST, "a call with this id runs already")
            if len(self._calls) >= _CALLS_MAX:
                raise Fault(wire.INVALID_REQUEST, f"{_CALLS_MAX} calls run already; wait for one of them")
            self._calls[message.id] = waiting, thread
        thread.start()

    def _call(self, message: Message, tool: tools.Tool, waiting: Waiting, modern: bool) -> None:
        """One tool call, from its arguments to its result: whatever happens is one result."""
        assert message.id is not None
        try:
            structured, text = self._performed(message, tool, waiting)
            result = {"content": [_text(text)], "structuredContent": structured, "isError": False}
        except RelayError as e:
            result = {"content": [_text(_line(e))], "isError": True}
        except Exception as e:  # a fault of ours ends one call, and is told
            told = plain(f"{type(e).__name__}: {e}", 300)
            result = {"content": [_text(f"this is a fault of gitrelay: {told}")], "isError": True}
        with self._calling:
            del self._calls[message.id]
        extra = {"resultType": "complete", **_ours()} if modern else {}
        with contextlib.suppress(OSError, ValueError):  # nobody may read it any more; what was done is recorded
            self._send({"id": message.id, "result": {**result, **extra}})

    def _performed(self, message: Message, tool: tools.Tool, waiting: Waiting) -> tuple[dict[str, Any], str]:
        from gitrelay.mcp import calling

        arguments = tools.checked(tool, message.params.get("arguments", {}) or {})
        self._roots_known.wait(_ROOTS_LIMIT)
        meta = _object(message.params.get("_meta"))
        task = calling.Task(
            arguments, self._bounds, self._environ, _caller(self._client), bounds.client_access(meta), waiting
        )
        return calling.perform(tool.name, task)

    # -- what goes out ----------------------------------------------------------------------------

    def _refuse(self, fault: Fault) -> None:
        data = {} if fault.data is None else {"data": fault.data}
        self._send({"id": fault.id, "error": {"code": fault.code, "message": fault.message, **data}})

    def _send(self, value: Mapping[str, Any]) -> None:
        line = wire.line_of(value)
        with self._writing:
            self._out.write(line)
            self._out.flush()


_INFO: Final = {"name": "gitrelay", "title": "gitrelay", "version": __version__}


def _ours() -> dict[str, Any]:
    return {"_meta": {_META + "serverInfo": _INFO}}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _line(error: RelayError) -> str:
    return " ".join(f"{error.message.rstrip('.')}{f'; {error.hint}' if error.hint else ''}".split())


def _caller(client: Mapping[str, Any]) -> str | None:
    """Who calls: the agent that the client is, or its name as a slug; None if nothing tells."""
    name = client.get("name")
    slug = names.slugify(name[:200], default="") if isinstance(name, str) else ""
    known: Iterable[str] = (agent for agent in _AGENTS if agent in slug.split("-"))
    return next(iter(known), None) or environment.calling_agent(os.environ) or slug or None
