"""The vocabulary of what is recorded: refs, trailers, subjects, authors, and a commit as it says them. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.ground.text import plain
from gitrelay.protocol.message import Request, Response

_LAST: Final = 253_370_764_800  # 9999-01-01: the last year that a calendar here knows, wherever it is read
_LAST_DIGITS: Final = 12
BRANCHES: Final = "refs/heads/relay/"
ARCHIVE: Final = "refs/relay/archive/"
TRACKED: Final = "refs/remotes/*/relay/*"  # what a plain `git fetch` keeps of a remote's sessions; a pattern
ASIDE: Final = "refs/relay/aside/"
BINDING: Final = "Relay-Review-"  # begins the trailers that bind a request to commits; its answer repeats them
SUBJECT_TASK: Final = 60  # characters of the task in a request's subject
CODE: Final = "refs/relay/code/"
STEPS: Final = "refs/relay/steps/"  # what peers say they did; no message depends on it


NOT_RECORDED: Final = "not recorded: "  # begins the lines of a commit's body that name what its tree leaves out
STARTED_IN: Final = "The peer is started in "  # begins the line of a request's body that names a folder of the tree


class Trailer:
    """The names of trailers: one fact each, on the commits that protocol.md says."""

    VERSION: Final = "Relay-Version"
    ID: Final = "Relay-Id"
    FROM: Final = "Relay-From"
    TO: Final = "Relay-To"
    HEAD: Final = "Relay-Head"
    TREE: Final = "Relay-Tree"
    LEFT_OUT: Final = "Relay-Left-Out"
    ACCESS: Final = "Relay-Access"
    KEY: Final = "Relay-Key"
    STATUS: Final = "Relay-Status"
    VERIFY: Final = "Relay-Verify"
    REASON: Final = "Relay-Reason"
    RECORDED: Final = "Relay-Recorded"
    CHECK: Final = "Relay-Check"
    SANDBOX: Final = "Relay-Sandbox"
    PEER: Final = "Relay-Peer"
    MODEL: Final = "Relay-Model"
    PEER_SESSION: Final = "Relay-Peer-Session"
    DURATION: Final = "Relay-Duration"
    USAGE: Final = "Relay-Usage"
    CONTINUATION: Final = "Relay-Continuation"
    DENIED: Final = "Relay-Denied"
    REDACTED: Final = "Relay-Redacted"
    BYPASS: Final = "Relay-Bypass"
    TOOL: Final = "Relay-Tool"
    ASKED_CHECKS: Final = "Relay-Asked-Checks"
    LOOP: Final = "Relay-Loop"
    ROUND: Final = "Relay-Round"
    BUDGET: Final = "Relay-Budget"
    ASKED_MODEL: Final = "Relay-Asked-Model"
    ASKED_EFFORT: Final = "Relay-Asked-Effort"
    ASKED_LIMITS: Final = "Relay-Asked-Limits"
    PROMPT: Final = "Relay-Prompt"
    REPLAY: Final = "Relay-Replay"
    CONTEXT: Final = "Relay-Context"
    BY: Final = "Relay-By"
    IN: Final = "Relay-In"
    SHARED: Final = "Relay-Shared"
    ATTEMPTS: Final = "Relay-Attempts"
    PICKED: Final = "Relay-Picked"
    WORKSPACE: Final = "Relay-Workspace"
    WORKER: Final = "Relay-Worker"
    JOB: Final = "Relay-Job"
    EPOCH: Final = "Relay-Epoch"
    REPOSITORY: Final = "Relay-Repository"
    NOT_AFTER: Final = "Relay-Not-After"
    ASKED_CWD: Final = "Relay-Asked-Cwd"
    DEPTH: Final = "Relay-Depth"
    REMOTE_CHECKS: Final = "Relay-Remote-Checks"
    WORKER_CHECKS: Final = "Relay-Worker-Checks"


@dataclass(frozen=True)
class Identity:
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a session. `time` is the committer's, seconds since the epoch, 0 if it has none."""

    oid: str
    time: int
    subject: str
    trailers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The subject's first word: `open`, `req`, `res`, `chk`, `apl`."""
        return self.subject.partition(" ")[0]

    # what the trailers say; None if there is no such trailer, or if it is empty

    @property
    def id(self) -> str | None:
        return self.trailers.get(Trailer.ID) or None

    @property
    def from_(self) -> str | None:
        return self.trailers.get(Trailer.FROM) or None

    @property
    def to(self) -> str | None:
        return self.trailers.get(Trailer.TO) or None

    @property
    def status(self) -> str | None:
        return self.trailers.get(Trailer.STATUS) or None

    @property
    def verify(self) -> str | None:
        return self.trailers.get(Trailer.VERIFY) or None

    @property
    def reason(self) -> str | None:
        return self.trailers.get(Trailer.REASON) or None

    @property
    def recorded(self) -> str | None:
        return self.trailers.get(Trailer.RECORDED) or None

    @property
    def tree(self) -> str | None:
        """The tree of the caller's files; the tree of the commit itself is the session's."""
        return self.trailers.get(Trailer.TREE) or None

    @property
    def access(self) -> str | None:
        return self.trailers.get(Trailer.ACCESS) or None

    @property
    def key(self) -> str | None:
        return self.trailers.get(Trailer.KEY) or None

    @property
    def check(self) -> str | None:
        """`Relay-Check`, as `protocol.check.parse_trailer` reads it."""
        return self.trailers.get(Trailer.CHECK) or None

    @property
    def peer(self) -> str | None:
        return self.trailers.get(Trailer.PEER) or None

    @property
    def model(self) -> str | None:
        return self.trailers.get(Trailer.MODEL) or None

    @property
    def peer_session(self) -> str | None:
        return self.trailers.get(Trailer.PEER_SESSION) or None

    @property
    def duration(self) -> str | None:
        """Seconds with one decimal, as `protocol.usage.amount` reads them."""
        return self.trailers.get(Trailer.DURATION) or None

    @property
    def usage(self) -> str | None:
        return self.trailers.get(Trailer.USAGE) or None

    @property
    def sandbox(self) -> str | None:
        return self.trailers.get(Trailer.SANDBOX) or None

    @property
    def denied(self) -> str | None:
        return self.trailers.get(Trailer.DENIED) or None

    @property
    def shared(self) -> str | None:
        return self.trailers.get(Trailer.SHARED) or None

    @property
    def workspace(self) -> str | None:
        """`isolated` or `shared`; None of an older exchange."""
        return self.trailers.get(Trailer.WORKSPACE) or None

    @property
    def context(self) -> str | None:
        """The earlier exchanges that were handed to the peer, as ADDRESS@COMMIT."""
        return self.trailers.get(Trailer.CONTEXT) or None

    @property
    def left_out(self) -> str | None:
        """How many paths the recorded tree leaves out."""
        return self.trailers.get(Trailer.LEFT_OUT) or None

    @property
    def redacted(self) -> str | None:
        return self.trailers.get(Trailer.REDACTED) or None


def parse(oid: str, time: str, message: str) -> Commit:
    """A commit out of what it says. Its trailers are the lines `Key: value` of the last paragraph behind the first."""
    subject, _, rest = message.partition("\n\n")
    block = rest.rstrip("\n").rpartition("\n\n")[2]
    try:
        trailers = dict([line.split(": ", 1) for line in block.split("\n")])
    except ValueError:  # a line that is none: nothing that gitrelay writes
        pairs = [line.partition(": ") for line in block.split("\n")]
        trailers = {key: value for key, colon, value in pairs if colon}
    subject = subject.rstrip("\n").replace("\n", " ")
    seconds = int(time) if time.isascii() and time.isdecimal() and len(time) <= _LAST_DIGITS else 0
    return Commit(oid, min(seconds, _LAST), subject, trailers)


def parse_raw(oid: str, data: bytes) -> Commit:
    """A commit out of the bytes of its object."""
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    committer = next((line for line in head.split("\n") if line.startswith("committer ")), "")
    return parse(oid, committer.rpartition("> ")[2].partition(" ")[0], message)


def left_out(data: bytes) -> list[str]:
    """The lines of a raw commit that name what its tree leaves out, without what they begin with."""
    lines = (line.removeprefix("- ") for line in data.decode("utf-8", "replace").partition("\n\n")[2].split("\n"))
    return [line.removeprefix(NOT_RECORDED) for line in lines if line.startswith(NOT_RECORDED)]


def name_of(ref: str) -> str:
    """The session whose branch, archived branch or remote-tracking branch `ref` is."""
    if ref.startswith("refs/remotes/"):
        return ref.partition("/relay/")[2]
    return ref.removeprefix(BRANCHES).removeprefix(ARCHIVE)


def remote_of(ref: str) -> str:
    """The remote that a remote-tracking branch is of, '' for a ref of this repository's own."""
    return ref.removeprefix("refs/remotes/").partition("/")[0] if ref.startswith("refs/remotes/") else ""


def trailers_of_text(text: str) -> dict[str, str]:
    """The trailers in lines that git has picked out of messages already (`%(trailers:only)`)."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value for key, colon, value in pairs if colon}


def of_request(request: Request) -> str:
    return f"req {request.id} {request.from_} -> {request.to}: {_first_line(request.task)}"


def of_response(response: Response) -> str:
    return f"res {response.re} {response.from_} -> {response.to}: {response.status}, verify {response.verify}"


def trailers_of(value: Request | Response) -> dict[str, str]:
    """The trailers that repeat a message's front matter."""
    own = {Trailer.FROM: value.from_, Trailer.TO: value.to}
    if isinstance(value, Request):
        return {Trailer.ID: value.id, **own}
    own = {Trailer.ID: value.re, **own, Trailer.STATUS: value.status, Trailer.VERIFY: value.verify}
    return own | ({Trailer.REASON: value.reason} if value.reason else {})


def author_of(slug: str) -> Identity:
    return Identity(slug, f"{slug}@gitrelay.invalid")


def commit_message(subject: str, trailers: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    paragraphs = [plain(subject)]
    if notes:
        paragraphs.append("\n".join(f"- {plain(note)}" for note in notes) if len(notes) > 1 else plain(notes[0]))
    paragraphs.append("\n".join(f"{key}: {plain(value)}" for key, value in trailers.items() if value))
    return "\n\n".join(paragraphs) + "\n"


def _first_line(task: str) -> str:
    line = next((line for line in task.splitlines() if line.strip()), "")
    return plain(line)[:SUBJECT_TASK].rstrip()
