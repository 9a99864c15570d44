"""What a peer is: how it is started, and how its output is read. Nothing else differs between peers.

An adapter says what it can do (`Capabilities`), turns a call into a command line (`command`) and reads
the output as it comes (`reader`). It decides nothing: the supervisor does, from the `Transcript`.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from gitrelay.protocol import frontmatter, message

# One line of a peer's events; the longest legitimate one is a final message of MAX_BYTES, JSON-escaped.
MAX_LINE: Final = 4 * frontmatter.MAX_BYTES

ANSWER_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": list(message.STATUSES)},
        "verify": {"type": "string", "enum": list(message.VERDICTS)},
        "body": {"type": "string", "description": "the whole answer, in markdown"},
    },
    "required": ["status", "verify", "body"],
    "additionalProperties": False,
}

STRUCTURED_LEAD: Final = """\
Answer the request below. Your final message is the answer: status, verify and body (markdown), in the \
structured form you were given; nothing has to be written to a file. verify is pass or fail only for what \
you ran yourself, else skip. Where you need to ask something back, say status error and ask it in the body.
"""  # the request's text follows, whole


@dataclass(frozen=True)
class Capabilities:
    """What an adapter was shown to do. `program` is looked for on PATH; `tested` are version prefixes."""

    program: str
    access: tuple[str, ...]
    structured: bool = False  # takes a schema for its final message
    events: bool = False  # prints one JSON event a line, so that progress can be told from retries
    minimum: tuple[int, ...] = ()
    resumes: bool = False  # its own conversation can be resumed by id
    cumulative: tuple[str, ...] = ()  # the usage figures that it reports for the whole conversation
    gone: tuple[str, ...] = ()  # words of its error where the conversation to resume does not exist
    litter: tuple[str, ...] = ()  # empty folders that its sandbox may leave in the working tree
    first_output: float | None = None  # seconds; the default first-output limit
    idle: float | None = None  # seconds; the default idle limit


@dataclass(frozen=True)
class Invocation:
    """One call as an adapter sees it. `prompt` is the request's text, whole; `folder` is private to the call."""

    prompt: str
    cwd: Path
    folder: Path
    access: str
    model: str | None = None
    effort: str | None = None
    resume: str | None = None  # the id of the peer's own conversation
    unseen: tuple[str, ...] = ()  # with resume: the files of the session that the conversation does not know

    @property
    def continuing(self) -> str:
        """What a resumed peer is told before the request, so that it reads nothing it knows."""
        if self.resume is None:
            return ""
        new = f" New to you are {', '.join(self.unseen)}: read these." if self.unseen else ""
        return f"This continues our conversation: the earlier turns need not be read again.{new}\n"


@dataclass(frozen=True)
class Command:
    """What to start: `argv[0]` may be a bare name, looked for on PATH. `join` puts stderr into stdout."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    join: bool = False


@dataclass(frozen=True)
class Answer:
    """A structured answer, or (`data`) a response file's bytes as the peer printed them.

    `plain`: the peer gave no more than the body; status and verify were added for it.
    """

    status: str
    verify: str
    body: str
    data: bytes | None = None
    plain: bool = False


@dataclass(frozen=True)
class Transcript:
    """What a reader understood. `error` is (reason, words); `fault` says why the final message is no answer."""

    answer: Answer | None = None
    terminal: bool = False
    error: tuple[str, str] | None = None
    fault: str = ""
    text: str = ""  # the final words, where they are no answer; shown, so that nothing paid for is lost
    model: str | None = None
    peer_session: str | None = None
    version: str | None = None
    usage: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Reads stdout chunk by chunk. `fatal`, once set, ends the peer; `finished` after its terminal event."""

    fatal: tuple[str, str] | None
    finished: bool

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; whether they show that the model is at work."""
        ...

    def transcript(self, exit_code: int | None) -> Transcript: ...


class Peer(Protocol):
    name: str
    capabilities: Capabilities

    def command(self, call: Invocation) -> Command: ...

    def reader(self, call: Invocation) -> Reader: ...


class EventReader:
    """Base of readers of JSON lines: bounded memory, hostile lines skipped, subclasses see dicts."""

    def __init__(self) -> None:
        self.fatal: tuple[str, str] | None = None
        self.finished = False
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> bool:
        progress = False
        while data:
            head, newline, data = data.partition(b"\n")
            if not self._skipping:
                self._line += head
                if len(self._line) > MAX_LINE:
                    self._line.clear()
                    self._skipping = True
            if newline:
                if not self._skipping:
                    progress = self._take_line(bytes(self._line)) or progress
                self._line.clear()
                self._skipping = False
        return progress

    def close(self) -> None:
        """The end of the stream ends a line too."""
        if self._line:
            self.feed(b"\n")

    def _take_line(self, line: bytes) -> bool:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict) and self.event(value)

    def event(self, event: dict[str, Any]) -> bool:
        raise NotImplementedError


def text_of(value: object, *path: str) -> str | None:
    """The string at `path` in nested dicts of unknown shape, None where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def count_of(value: object, *path: str) -> int | None:
    """The number at `path` in nested dicts of unknown shape."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def answer_of_text(text: str, *, strict: bool = False) -> tuple[Answer | None, str]:
    """A peer's final words -> (answer, fault).

    A JSON object of the schema, or a whole response file, is taken as such, and is a fault where it is
    broken; other words are the body (done, skip). `strict`: the fields must have been given.
    """
    try:
        found = message.parse_structured(text)
        if found is not None:
            return Answer(*found), ""
        if text.startswith("---\n") or text.startswith("---\r\n"):
            data = text.encode() if text.endswith("\n") else text.encode() + b"\n"
            response = message.parse_response(data)
            if not response.body.strip():
                return None, "the body is empty"
            return Answer(response.status, response.verify, response.body, data), ""
    except frontmatter.BadMessage as e:
        return None, str(e)
    if not text.strip():
        return None, ""
    if strict:
        return None, "the answer has no status and verify"
    return Answer("done", "skip", text.strip("\n"), plain=True), ""


def written_lead(call: Invocation) -> str:
    """What a peer without a schema for its final message is told before the request: to end with a response file."""
    form = textwrap.dedent(call.prompt.rpartition("\nFormat:\n")[2]).strip()
    return (
        "Answer the request below. Your final message is the answer; nothing has to be written to a file. It "
        "begins with these lines, with no words before them and no code fence around them, and where they say "
        f"'a | b' you choose one:\n\n{form}\n\n"
        "verify is pass or fail only for what you ran yourself, else skip. Where you need to ask something back, "
        f"say status: error and ask it in your response.\n{call.continuing}"
    )


class FinalWords:
    """The words of a peer that was asked for a response file (`written_lead`), gathered as they come.

    The answer is what was said after the last tool call. A model may put words before its response file or
    a code fence around it: they do not hide it, if it is addressed as the Format block says.
    """

    def __init__(self, call: Invocation) -> None:
        self._address = dict(re.findall(r"^  (re|from|to): (\S+)$", call.prompt, re.MULTILINE))
        self._parts: list[str] = []
        self._size = 0
        self._before = ""

    def say(self, text: str) -> None:
        self._size += len(text)
        if self._size <= frontmatter.MAX_BYTES:
            self._parts.append(text)

    def use_tool(self) -> None:
        self._before = self._said or self._before
        self._parts.clear()
        self._size = 0

    @property
    def _said(self) -> str:
        """What was said since the last tool call, '' for blanks; JSON may escape lone surrogates, UTF-8 has none."""
        return "".join(self._parts).encode("utf-8", "replace").decode().lstrip()

    @property
    def text(self) -> str:
        return self._said or self._before

    def answer(self) -> tuple[Answer | None, str]:
        """(answer, fault), as `answer_of_text` gives them."""
        said = self._said
        if self._size > frontmatter.MAX_BYTES:
            return None, f"{self._size} characters; a message has at most {frontmatter.MAX_BYTES} bytes"
        if not said:
            return self._written(self._before), ""  # a whole response file, and after it one more look at a file
        try:
            frontmatter.decode(said.encode())
        except frontmatter.BadMessage as e:
            return None, str(e)
        found = None if said.startswith("---") else self._written(said)
        return (found, "") if found is not None else answer_of_text(said)

    def _written(self, text: str) -> Answer | None:
        """The response file in `text`, None where there is none that is valid and addressed to this request."""
        start = re.search(r"^(?P<fence>`{3,}\w*\n)?(?P<file>---\r?\nrelay: )", text, re.MULTILINE)
        if start is None:
            return None
        file, words = text[start.start("file") :], text[: start.start()].strip()
        if start["fence"]:
            file = re.sub(r"\n`{3,}\s*\Z", "\n", file)
        found, _ = answer_of_text(file)
        if found is None or found.data is None:
            return None
        response = message.parse_response(found.data)
        if {"re": response.re, "from": response.from_, "to": response.to} != self._address:
            return None
        return Answer(found.status, found.verify, f"{words}\n\n{found.body}") if words else found


def reason_of_status(status: int | None, words: str) -> str:
    """The typed reason for an HTTP status of a provider, or for the words of an error."""
    lowered = words.lower()
    if status in (401, 403) or any(
        w in lowered
        for w in (
            "401 unauthorized",
            "403 forbidden",
            "not logged in",
            "missing environment variable",  # codex, whose provider takes its key from one
            "invalid api key",
            "api key not valid",  # Google says it with a status of 400
            "authentication",
            "/login",
        )
    ):
        return "auth"
    if status in (402, 429) or any(
        w in lowered for w in ("rate limit", "rate_limit", "quota", "usage limit", "credit balance")
    ):
        return "quota"
    if status is None and re.search(r"\b429\b", lowered):  # a port or an id may hold these digits too
        return "quota"
    if any(
        w in lowered
        for w in (
            "error sending request",
            "connection refused",
            "econnrefused",
            "unable to connect",
            "fetch failed",
            "enotfound",
        )
    ):
        return "unavailable"
    return "peer-failed"
