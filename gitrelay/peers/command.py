"""Any program, from git config: `git config relay.<peer>.command "aider --message-file {prompt-file}"`.

The words are split as a shell splits them and run without a shell. `{prompt-file}`, `{prompt}`, `{model}`
and `{cwd}` are filled in where they stand; with no `{prompt...}` the prompt goes to stdin.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.peers.base import Answer, Capabilities, Command, Invocation, Transcript, answer_of_text
from gitrelay.process.capture import MARGIN, first_part, last_part
from gitrelay.protocol import frontmatter
from gitrelay.text import quote

_LEAD = """\
Answer the request below: print your answer, or write it to the file that its Reply line names, in the form \
that its Format block shows.

"""
_LAST_WORDS: Final = 4096  # bytes of what a failed program printed that are kept
_FIELD = re.compile(r"\{(prompt-file|prompt|model|cwd)\}")


class Program:
    """A peer by configuration. `line` is the configured command, `where` the place it was configured in."""

    def __init__(self, name: str, line: str, where: str) -> None:
        self.name = name
        self.where = where
        try:
            self.words = tuple(shlex.split(line))
        except ValueError as e:
            raise UsageError(
                f"relay.{name}.command {quote(line)} ({where}): {e}",
                hint="quote it as for a shell",
                code=Code.BAD_CONFIG,
            ) from None
        if not self.words:
            raise UsageError(f"relay.{name}.command ({where}) is empty", code=Code.BAD_CONFIG)
        self.capabilities = Capabilities(program=self.words[0], access=("write", "full", "read"))

    def command(self, call: Invocation) -> Command:
        prompt = _LEAD + call.prompt
        in_argv = any("{prompt" in word for word in self.words)
        if any("{prompt-file}" in word for word in self.words):
            (call.folder / "prompt.md").write_text(prompt, "utf-8", newline="")
        values = {
            "prompt-file": str(call.folder / "prompt.md"),
            "prompt": prompt,
            "model": call.model or "",
            "cwd": str(call.cwd),
        }
        argv = tuple(_FIELD.sub(lambda m: values[m[1]], word) for word in self.words)
        return Command(argv=argv, stdin=b"" if in_argv else prompt.encode())

    def reader(self, call: Invocation) -> _Printed:
        return _Printed()


class _Printed:
    """What the program printed, up to the size of a message."""

    def __init__(self) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._data = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> bool:
        self._size += len(data)
        self._data += data[: max(0, frontmatter.MAX_BYTES + 1 - len(self._data))]
        return True

    def transcript(self, exit_code: int | None) -> Transcript:
        data = bytes(self._data)
        if exit_code != 0:
            if self._size > len(data):
                data = first_part(data, len(data) - MARGIN)
            return Transcript(text=_end_of(data))
        if self._size > frontmatter.MAX_BYTES:
            return Transcript(fault=f"it printed {self._size} bytes; a message has at most {frontmatter.MAX_BYTES}")
        try:
            text = frontmatter.decode(data)
        except frontmatter.BadMessage as e:
            return Transcript(fault=f"what it printed: {e}")
        answer, fault = answer_of_text(text) if text.startswith("---") else _plain(text)
        return Transcript(answer, terminal=True, fault=fault, text=_end_of(data))


def _end_of(data: bytes) -> str:
    return last_part(data, _LAST_WORDS).decode("utf-8", "replace")


def _plain(text: str) -> tuple[Answer | None, str]:
    return (Answer("done", "skip", text.removesuffix("\n"), plain=True), "") if text.strip() else (None, "")
