"""What a peer is: how it is started, and how its output is read. Nothing else differs between peers.

An adapter says what it can do (`Capabilities`), turns a call into a command line (`command`) and reads
the output as it comes (`reader`). It decides nothing: the supervisor does, from the `Transcript`.
Nothing else of gitrelay is needed here, so that an adapter is imported only by who calls its program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol, runtime_checkable

from gitrelay.ground.value import dataclass


@dataclass(frozen=True)
class Capabilities:
    """What an adapter was shown to do. `program` is looked for on PATH.

    `access` is what the program can be held to. `unheld` is what it may be asked for by name although it is not told
    of it: whether it kept to it is only seen afterwards.
    """

    program: str
    access: tuple[str, ...]
    unheld: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)  # access -> program, if that is another one
    structured: bool = False  # takes a schema for its final message
    events: bool = False  # prints one JSON event a line, so that progress can be told from retries
    minimum: tuple[int, ...] = ()
    resumes: bool = False  # its own conversation can be resumed by id
    cumulative: tuple[str, ...] = ()  # the usage figures that it reports for the whole conversation
    gone: tuple[str, ...] = ()  # words of its error if the conversation to resume does not exist, in any case
    litter: tuple[str, ...] = ()  # empty folders that its sandbox may leave in the working tree
    first_output: float | None = None  # seconds; the default first-output limit
    idle: float | None = None  # seconds; the default idle limit
    measures: tuple[str, ...] = ()  # what its events tell of while it runs: `tok`, `usd`
    reports: tuple[str, ...] = ()  # what they tell of at the end
    prompt_max: int | None = None  # bytes of a task; None if it does not travel on the command line

    def program_for(self, access: str) -> str:
        return self.programs.get(access, self.program)


@dataclass(frozen=True)
class Invocation:
    """One call as an adapter sees it. `prompt` is the request's text, whole; `folder` is private to the call.

    `cwd` is the top of the working tree; `place` a folder of it, if the peer is started there.
    """

    prompt: str
    cwd: Path
    folder: Path
    access: str
    model: str | None = None
    effort: str | None = None
    resume: str | None = None  # the id of the peer's own conversation
    budget_usd: str | None = None  # dollars that are left, for a program that ends itself at them
    instead_of: Path | None = None  # the caller's own tree, if `cwd` is a workspace
    unseen: tuple[str, ...] = ()  # with resume: the files of the session that the conversation does not know
    keep: bool = False  # a keeper is between, which keeps the program for the next turn
    place: Path | None = None
    alone: bool = False  # `cwd` holds files of the past: what was remembered since is not for it

    @property
    def start(self) -> Path:
        """The folder that the program is started in."""
        return self.place or self.cwd

    @property
    def whereabouts(self) -> str:
        """What a peer that is not started at the top is told, because the request names paths from there."""
        if self.start == self.cwd:
            return ""
        return f"You are in {self.start}; paths that begin with .relay/ are below {self.cwd}.\n"

    @property
    def before(self) -> str:
        """What a peer is told before the request: where it is, and if it is resumed what it need not read again."""
        if self.resume is None:
            return self.whereabouts
        new = f" New to you are {', '.join(self.unseen)}: read these." if self.unseen else ""
        return f"{self.whereabouts}This continues our conversation: the earlier turns need not be read again.{new}\n"


@dataclass(frozen=True)
class Command:
    """What to start: `argv[0]` may be a bare name, looked for on PATH. `join` puts stderr into stdout.

    `talks`: its stdin stays open, and its reader is a `Talker`. `prompt` is what it is told if that is not its stdin: a
    word of its command line, a file, a message of the protocol.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    join: bool = False
    talks: bool = False
    prompt: bytes = b""

    @property
    def told(self) -> bytes:
        """All that the program is told, wherever it travels."""
        return self.prompt or self.stdin


@dataclass(frozen=True)
class Answer:
    """A structured answer, or (`data`) a response file's bytes as the peer printed them.

    `plain`: the peer gave no more than the body; status and verify were added for it. `reason` is `needs-input` if it
    asks something back.
    """

    status: str
    verify: str
    body: str
    data: bytes | None = None
    plain: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Transcript:
    """What a reader understood of all that a peer printed.

    `terminal`: the answer is whole, because the event that ends it came. `error` is (reason, words), and then there
    is no answer; `fault` says why what was meant for one is none. `text` is all that was said, shown if it is not
    the answer, so that nothing paid for is lost; `printed` is what else was printed and is no event.
    """

    answer: Answer | None = None
    terminal: bool = False
    error: tuple[str, str] | None = None
    fault: str = ""
    text: str = ""
    printed: str = ""
    garbled: int = 0  # events that were broken
    denied: tuple[str, ...] = ()  # the tool calls that the peer was refused, by the tool's name
    model: str | None = None
    peer_session: str | None = None
    version: str | None = None
    usage: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Reads stdout chunk by chunk. `fatal`, once set, ends the peer; `finished`: its answer is whole, it may end."""

    fatal: tuple[str, str] | None
    finished: bool

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; whether they show that the model is at work."""
        ...

    # a reader of events has `spent` too: what was used so far, by name as in a transcript's `usage`

    def transcript(self, exit_code: int | None) -> Transcript:
        """What it came to; `exit_code` is None if the peer did not end by itself."""
        ...


@runtime_checkable
class Talker(Protocol):
    """A reader that answers: for a program with which a protocol is spoken over stdin and stdout."""

    def talk(self, send: Callable[[bytes | None], None]) -> None:
        """Begin. `send` may be called from now on, in `feed` too: bytes go to stdin, None closes it."""
        ...

    def hang_up(self) -> None:
        """The call is to end: the program may be told so before it is stopped."""
        ...


class Peer(Protocol):
    name: str
    capabilities: Capabilities

    def command(self, call: Invocation) -> Command: ...

    def reader(self, call: Invocation) -> Reader: ...
