"""Any agent that speaks the Agent Client Protocol: `git config relay.<peer>.acp "copilot --acp"`.

The words are split as a shell splits them and run without a shell. The agent is asked in words for a response file: the
protocol has no schema for an answer. Nothing is downloaded: what is configured is what runs.
"""

from __future__ import annotations

import shlex

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote
from gitrelay.peers.acp import known
from gitrelay.peers.acp.client import GONE, Client
from gitrelay.peers.answers import written_lead
from gitrelay.peers.base import Capabilities, Command, Invocation
from gitrelay.peers.turns import turns_in_prompt

_LOOK = (
    "You have read access: look only. Change no file and no ref, and run no command; what you try is refused, and you "
    "go on without it.\n"
)
_WRITE = "Change files only inside the current folder.\n"


class Agent:
    """A peer by the protocol. `where` is the place it was configured in. Raises UsageError for a bad command line."""

    def __init__(self, name: str, line: str, where: str, read_mode: str | None = None) -> None:
        self.name = name
        self.where = where
        self._words = _words(name, line, where)
        self.known = known.of_command(self._words)
        self._read_mode = read_mode
        reads = read_mode is not None or (self.known is not None and "read" in self.known.modes)
        self.capabilities = Capabilities(
            program=self._words[0],
            access=("read", "write", "full") if reads else ("write", "full"),
            events=True,
            resumes=self.known is None or self.known.resumes,
            cumulative=self.known.cumulative if self.known is not None else (),
            gone=(GONE.lower(),),
            first_output=300.0,
            idle=1200.0,
            measures=(),
            reports=("tok",),
        )

    def command(self, call: Invocation) -> Command:
        env = self.known.env.get(call.access, {}) if self.known is not None else {}
        return Command(argv=self._words, env=env, talks=True, prompt=self._prompt(call).encode())

    def reader(self, call: Invocation) -> Client:
        return Client(call, self.known, self._read_mode, self._prompt(call))

    def _prompt(self, call: Invocation) -> str:
        inside = self.known is not None and self.known.turns_inside
        rule = {"read": _LOOK, "write": _WRITE}.get(call.access, "")
        return f"{written_lead(call)}{rule}\n{turns_in_prompt(call) if inside else ''}{call.prompt}"


def _words(name: str, line: str, where: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(line))
    except ValueError as e:
        raise UsageError(
            f"relay.{name}.acp {quote(line)} ({where}): {e}", hint="quote it as for a shell", code=Code.BAD_CONFIG
        ) from None
    if not words:
        raise UsageError(
            f"relay.{name}.acp ({where}) is empty",
            hint=f'git config relay.{name}.acp "PROGRAM ..."',
            code=Code.BAD_CONFIG,
        )
    return words
