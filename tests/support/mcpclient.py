"""A client of `git relay mcp` that says whatever a test wants, line by line."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from support.repo import GIT_RELAY, Repo
from support.waiting import patient

CODEX = {"name": "codex-mcp-client", "version": "0.169.0"}


class Client:
    """One server, and what it has said so far that nobody asked for yet."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._said: queue.Queue[bytes] = queue.Queue()
        self._kept: list[dict[str, Any]] = []
        self._next = 100
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put(b"")

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def say(self, **message: Any) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def heard(self, id_: object, limit: float = 60) -> dict[str, Any]:
        """The next message with this id; others are kept."""
        for message in self._kept:
            if message.get("id") == id_:
                self._kept.remove(message)
                return message
        while True:
            line = self._said.get(timeout=patient(limit))
            assert line, f"the server has ended with {self.process.wait(patient(10))}"
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            if message.get("id") == id_:
                assert isinstance(message, dict)
                return message
            self._kept.append(message)

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The whole answer to a request."""
        self._next += 1
        self.say(id=self._next, method=method, params=params or {})
        return self.heard(self._next)

    def ask_later(self, method: str, params: Mapping[str, Any]) -> int:
        """Send a request; its id."""
        self._next += 1
        self.say(id=self._next, method=method, params=params)
        return self._next

    def begin(self, name: str, **arguments: Any) -> int:
        """Begin a tool call; its id."""
        self._next += 1
        self.say(id=self._next, method="tools/call", params={"name": name, "arguments": arguments})
        return self._next

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a tool call, which must be no error."""
        result = self.heard(self.begin(name, **arguments))["result"]
        assert result["isError"] is False, result
        value = result["structuredContent"]
        assert isinstance(value, dict) and result["content"][0]["text"]
        return value

    def refused(self, name: str, **arguments: Any) -> str:
        """The one line of a tool call that must be an error."""
        result = self.heard(self.begin(name, **arguments))["result"]
        assert result["isError"] is True, result
        (content,) = result["content"]
        text = content["text"]
        assert isinstance(text, str) and "\n" not in text and "Traceback" not in text
        return text

    def initialize(self, capabilities: Mapping[str, Any] | None = None) -> dict[str, Any]:
        wanted = {"protocolVersion": "2025-06-18", "capabilities": capabilities or {}, "clientInfo": CODEX}
        answer = self.ask("initialize", wanted)
        self.say(method="notifications/initialized")
        return answer

    def close(self) -> None:
        """Once the process has been ended."""
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def end(self) -> int:
        """Close its input; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(patient(30))


@contextmanager
def serving(
    repo: Repo, *words: str, env: Mapping[str, str] | None = None, through: Sequence[str] = ()
) -> Iterator[Client]:
    """A server in the repository, started by `through`; ended with the block, whatever happens in it."""
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*through, *GIT_RELAY, "mcp", *words],
            cwd=repo.path,
            env={**repo.env, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            start_new_session=True,
        )
        client = Client(process)
        try:
            yield client
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            client.close()
        err.seek(0)
        said = err.read()
    assert b"Traceback" not in said, said.decode()
