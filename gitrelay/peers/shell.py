"""`shell`, the embedded peer: the task is a command, its exit code the verdict. Needs no account.

It is the one place where a shell runs what was asked, because that is what was asked.
"""

from __future__ import annotations

from collections import deque

from gitrelay import message
from gitrelay.peers.base import Answer, Capabilities, Command, Invocation, Transcript

_TAIL = 64 * 1024


class Shell:
    name = "shell"
    capabilities = Capabilities(program="sh", access=("write", "full"))

    def command(self, call: Invocation) -> Command:
        task = _task(call)
        return Command(argv=("sh", "-c", task), join=True)

    def reader(self, call: Invocation) -> _Tail:
        return _Tail(_task(call))


def _task(call: Invocation) -> str:
    return message.task_of(call.prompt.encode())


class _Tail:
    """Keeps the last bytes of what the command printed; its exit code decides."""

    def __init__(self, task: str) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._task = task
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._size = 0

    def feed(self, data: bytes) -> bool:
        self._chunks.append(data)
        self._kept += len(data)
        self._size += len(data)
        while self._kept - len(self._chunks[0]) >= _TAIL:
            self._kept -= len(self._chunks.popleft())
        return True

    def transcript(self, exit_code: int | None) -> Transcript:
        tail = b"".join(self._chunks)[-_TAIL:]
        printed = tail.decode("utf-8", "replace").replace("\0", "\ufffd").rstrip("\n")
        left_out = self._size - len(tail)
        if left_out:
            printed = f"[... {left_out} bytes left out ...]\n{printed}"
        fence = "```"
        while fence in printed or fence in self._task:
            fence += "`"
        end = "not started" if exit_code is None else f"exit {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
        body = (
            f"{fence}console\n$ {self._task}\n{printed}\n{fence}\n\n{end}"
            if printed
            else (f"{fence}console\n$ {self._task}\n{fence}\n\n{end}")
        )
        if exit_code is None:
            return Transcript(text=printed)
        return Transcript(Answer("done", "pass" if exit_code == 0 else "fail", body), terminal=True, text=printed)
