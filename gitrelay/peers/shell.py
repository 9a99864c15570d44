"""`shell`, the embedded peer: the task is a command, its exit code the verdict. Needs no account.

Only here a shell runs what was asked, because that is what was asked.
"""

from __future__ import annotations

from gitrelay.ground.text import block, ending
from gitrelay.peers.base import Answer, Capabilities, Command, Invocation, Transcript
from gitrelay.process.capture import Capture
from gitrelay.protocol import message

_TAIL = 64 * 1024


class Shell:
    name = "shell"
    capabilities = Capabilities(program="sh", access=("write", "full"))

    def command(self, call: Invocation) -> Command:
        task = _task(call)
        return Command(argv=("sh", "-c", task), join=True, prompt=task.encode())

    def reader(self, call: Invocation) -> _Run:
        return _Run(_task(call))


def _task(call: Invocation) -> str:
    return message.task_of(call.prompt.encode())


class _Run(Capture):
    """The end of what the command printed; its exit code decides."""

    def __init__(self, task: str) -> None:
        super().__init__(head=0, tail=_TAIL)
        self._task = task

    def transcript(self, exit_code: int | None) -> Transcript:
        printed = self.text()
        if exit_code is None:
            return Transcript(text=printed)
        body = block(self._task, printed, ending(exit_code))
        return Transcript(Answer("done", "pass" if exit_code == 0 else "fail", body), terminal=True, text=printed)
