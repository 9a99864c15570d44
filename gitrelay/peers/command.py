"""Any program, from git config: `git config relay.<peer>.command "aider --message-file {prompt-file}"`.

The words are split as a shell splits them and run without a shell. `{prompt-file}`, `{prompt}`, `{model}`, `{cwd}`
and `{access}` are filled in; with no `{prompt...}` the prompt goes to stdin. `.read`, `.write` and `.full` are command
lines of their own for an access. What such a program prints is looked through for a response; words that hold none
are no answer, unless it is declared `plain`, or its exit code is its verdict.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import ending, quote
from gitrelay.ground.value import dataclass
from gitrelay.peers import voice
from gitrelay.peers.base import Answer, Capabilities, Command, Invocation, Transcript
from gitrelay.peers.events import clean
from gitrelay.peers.responses import Address, answer_in
from gitrelay.process.capture import Capture
from gitrelay.protocol import frontmatter

ACCESS: Final = ("write", "full", "read")  # the first that is configured names the peer's program
_LEAD: Final = (
    "Answer the request below: print your answer{file}, in the form that its Format block shows.\n{rule}"
    "If you cannot go on without an answer to a question, print status: error, the line 'reason: needs-input' after "
    "verify, and as the body the question, then up to six options as a list.\n\n"
)
_FILE: Final = ", or write it to the file that its Reply line names"
_LOOK: Final = "You have read access: look only; change no file and no ref, and run nothing that does.\n"
_FIELD: Final = re.compile(r"\{(prompt-file|prompt|model|cwd|access)\}")
# Linux takes 131,072 bytes in one word of a command line, its NUL included (MAX_ARG_STRLEN), less than POSIX asks for
_WORD_MAX: Final = 131_071
_FRAME: Final = 4096  # bytes of a prompt that are not the task: what is said before it, front matter, the Reply block
_JSON_LINES: Final = 200  # of what was printed, from the end
_TAIL: Final = 256 * 1024  # bytes at the beginning and at the end of what a program printed that are looked through


@dataclass(frozen=True)
class Settings:
    """What git config says of a program: command lines with the place they were configured in, and how it answers.

    `lines`: access -> (command line, place); '' is `.command`. `verdict`: `exit` if the exit code is the verdict.
    """

    lines: Mapping[str, tuple[str, str]]
    plain: bool = False
    verdict: str | None = None


class Program:
    """A peer by configuration. `where` is the place it was configured in. Raises UsageError for a bad setting."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        split = {key: _words(name, key, line, where) for key, (line, where) in settings.lines.items()}
        common = split.get("")
        self._words = {access: split.get(access, common) for access in ACCESS}
        known = [access for access in ACCESS if self._words[access] is not None]
        told = tuple(a for a in known if a != "read" or a in split or any("{access}" in word for word in common or ()))
        self.where = settings.lines["" if common is not None else known[0]][1]
        programs = {access: words[0] for access, words in self._words.items() if words is not None}
        self.capabilities = Capabilities(
            program=programs[known[0]],
            access=told,
            unheld=tuple(access for access in known if access not in told),
            programs=programs,
            prompt_max=min((_room(words) for words in self._words.values() if words), default=None, key=_or_more),
        )

    def command(self, call: Invocation) -> Command:
        """Raises UsageError for a prompt that is too long for the command line."""
        words = self._words[call.access]
        assert words is not None
        reads = call.access == "read"
        prompt = _LEAD.format(file="" if reads else _FILE, rule=_LOOK if reads else "") + call.whereabouts + call.prompt
        in_argv = any("{prompt" in word for word in words)
        if any("{prompt-file}" in word for word in words):
            (call.folder / "prompt.md").write_text(prompt, "utf-8", newline="")
        values = {
            "prompt-file": str(call.folder / "prompt.md"),
            "prompt": prompt,
            "model": call.model or "",
            "cwd": str(call.start),
            "access": call.access,
        }
        argv = tuple(_FIELD.sub(lambda m: values[m[1]], word) for word in words)
        if any("{prompt}" in word for word in words) and max(len(word.encode()) for word in argv) > _WORD_MAX:
            raise too_long(self.name, len(prompt.encode()))
        told = prompt.encode()
        return Command(argv=argv, stdin=b"" if in_argv else told, prompt=told)

    def reader(self, call: Invocation) -> _Printed | _Verdict:
        return _Verdict() if self.settings.verdict else _Printed(call, self.name, plain=self.settings.plain)


def too_long(name: str, size: int) -> UsageError:
    """The error for a prompt of `size` bytes that the command line of peer `name` cannot take."""
    return UsageError(
        f"the prompt has {size} bytes, and {{prompt}} puts it on the command line of {name}, "
        f"where a word has at most {_WORD_MAX}",
        hint=f"use {{prompt-file}} in relay.{name}.command in its place, or neither: then it goes to stdin",
        code=Code.TASK_TOO_LARGE,
    )


def _words(name: str, key: str, line: str, where: str) -> tuple[str, ...]:
    setting = f"relay.{name}.{key or 'command'}"
    try:
        words = tuple(shlex.split(line))
    except ValueError as e:
        raise UsageError(
            f"{setting} {quote(line)} ({where}): {e}", hint="quote it as for a shell", code=Code.BAD_CONFIG
        ) from None
    if not words:
        raise UsageError(f"{setting} ({where}) is empty", code=Code.BAD_CONFIG)
    return words


def _room(words: tuple[str, ...]) -> int | None:
    """How many bytes a task may have for the command line `words`, None if it does not travel there."""
    holders = [len(word.encode()) for word in words if "{prompt}" in word]
    return _WORD_MAX - _FRAME - max(holders) if holders else None


def _or_more(room: int | None) -> int:
    return frontmatter.MAX_BYTES if room is None else room


class _Printed:
    """What the program printed, up to the size of a message."""

    def __init__(self, call: Invocation, name: str, *, plain: bool) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._address = Address.of(call)
        self._name = name
        self._plain = plain
        self._data = bytearray()
        self._ends = Capture(head=0, tail=_TAIL)
        self._size = 0

    def feed(self, data: bytes) -> bool:
        self._size += len(data)
        self._data += data[: max(0, frontmatter.MAX_BYTES + 1 - len(self._data))]
        self._ends.feed(data)
        return True

    def transcript(self, exit_code: int | None) -> Transcript:
        if self._size > frontmatter.MAX_BYTES:
            fault = f"it printed {self._size} bytes; a message has at most {frontmatter.MAX_BYTES}"
            return Transcript(fault=fault if exit_code == 0 else "", text=self._ends.text())
        data = bytes(self._data)
        shown = clean(data.decode("utf-8", "replace")).replace("\0", "\ufffd")
        if exit_code is None or exit_code < 0:
            return Transcript(text=shown)
        bad = ""
        try:
            text = frontmatter.decode(data)
        except frontmatter.BadMessage as e:
            text, bad = shown, f"what it printed: {e}"
        answer, fault = self._response(text)
        if answer is not None and not (bad and "\ufffd" in answer.body):
            return Transcript(answer, terminal=True, text=shown)
        if exit_code != 0:
            return Transcript(text=shown)
        return self._in_words(shown, bad or fault)

    def _response(self, text: str) -> tuple[Answer | None, str]:
        """The response in what was printed: as it is, then without what was meant for a terminal, then in JSON."""
        plain = re.sub(r"\r(?!\n)", "\n", clean(text))
        faults = []
        for version in dict.fromkeys((text.lstrip("\ufeff\r\n"), plain.lstrip(), *_strings(plain))):
            found, fault = answer_in(version, self._address, banners=True)
            if found is not None:
                return found, ""
            faults.append(fault)
        return None, next(filter(None, faults), "")

    def _in_words(self, text: str, fault: str) -> Transcript:
        error = voice.own_words(text)
        if error is not None:
            return Transcript(terminal=True, error=error, text=text)
        if fault or not text.strip():
            return Transcript(terminal=True, fault=fault, text=text)
        if self._plain:
            words = bytes(self._data).decode("utf-8").removesuffix("\n")
            return Transcript(Answer("done", "skip", words, plain=True), terminal=True, text=text)
        fault = (
            f"it printed words, and no response that is addressed to the request; 'git config relay.{self._name}.plain "
            "true' if its words are to count as they are"
        )
        return Transcript(terminal=True, fault=fault, text=text)


class _Verdict(Capture):
    """A linter, a test runner: its exit code is the verdict, 0 pass and 1 fail; what it printed is the body."""

    def __init__(self) -> None:
        super().__init__(head=_TAIL, tail=_TAIL)

    def transcript(self, exit_code: int | None) -> Transcript:
        printed = clean(self.text())
        if exit_code is None or exit_code not in (0, 1):
            return Transcript(text=printed)
        body = printed if printed.strip() else f"It printed nothing; {ending(exit_code)}."
        return Transcript(Answer("done", "pass" if exit_code == 0 else "fail", body), terminal=True, text=printed)


def _strings(text: str) -> Iterator[str]:
    """The texts in JSON that a program printed, object by object, the last first: one may be the response."""
    for line in (text, *reversed(text.splitlines()[-_JSON_LINES:])):
        try:
            value = json.loads(line) if line.lstrip().startswith("{") else None
        except (ValueError, RecursionError):
            continue
        yield from (string.lstrip() for string in _inside(value, 0) if "verify" in string)


def _inside(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _inside(item, depth + 1)
