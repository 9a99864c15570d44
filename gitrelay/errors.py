"""Every way gitrelay can fail, and the only place that knows exit codes.

A `RelayError` is one line for the person (`message`), what to do next (`hint`), a stable word for
programs (`code`) and an exit code. A call that ended badly is not an exception: its response is
recorded, and `exit_code_of` reads the code from the record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

OK: Final = 0
VERIFY_FAILED: Final = 1
USAGE: Final = 2
PEER_ERROR: Final = 3
NO_ANSWER: Final = 4
TIMEOUT: Final = 5
BUSY: Final = 6
INTEGRITY: Final = 7
PENDING: Final = 8
BUG: Final = 70
INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[int, tuple[str, str]]] = {
    OK: ("ok", "done, and verify is pass or skip"),
    VERIFY_FAILED: (
        "verify-failed",
        "the peer answered, and verify is fail, or a check did not pass; for fsck and check, a finding; for apply, "
        "a conflict",
    ),
    USAGE: ("usage", "wrong words, a bad slug, an unknown peer or session, no repository to work in"),
    PEER_ERROR: ("peer-error", "the peer answered status: error"),
    NO_ANSWER: ("no-answer", "there is no valid answer, or nothing could be recorded"),
    TIMEOUT: ("timeout", "the wall limit or the idle limit was reached"),
    BUSY: ("busy", "the session has a turn in flight, or a lock could not be had in time"),
    INTEGRITY: ("integrity", "the ledger is damaged or was rewritten"),
    PENDING: ("pending", "waited long enough; the call goes on"),
    BUG: ("bug", "unexpected; a log file is named"),
    INTERRUPTED: ("interrupted", "Ctrl-C"),
}


class Reason(StrEnum):
    """Why there is no answer, or none that counts; `exit_code` is what a call that ended so exits with."""

    exit_code: int

    def __new__(cls, word: str, exit_code: int) -> Self:
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.exit_code = exit_code
        return reason

    IDLE = "idle", TIMEOUT  # before TIMEOUT, which from there on is the member
    TIMEOUT = "timeout", TIMEOUT
    NO_OUTPUT = "no-output", NO_ANSWER
    CANCELLED = "cancelled", NO_ANSWER
    UNAVAILABLE = "unavailable", NO_ANSWER
    AUTH = "auth", NO_ANSWER
    QUOTA = "quota", NO_ANSWER
    REFUSED = "refused", NO_ANSWER
    BAD_OUTPUT = "bad-output", NO_ANSWER
    PEER_FAILED = "peer-failed", NO_ANSWER
    LOST = "lost", NO_ANSWER
    SANDBOX = "sandbox", NO_ANSWER
    RECURSION = "recursion", NO_ANSWER
    ACCESS = "access", NO_ANSWER
    BUDGET = "budget", NO_ANSWER
    EXPIRED = "expired", NO_ANSWER
    NEEDS_INPUT = "needs-input", PEER_ERROR


REASONS: Final = {reason.value: reason for reason in Reason}


def exit_code_of(status: str, verify: str, reason: str | None, recorded: str) -> int:
    """The exit code of an answered exchange. `recorded` is `peer` or `gitrelay` (trailer Relay-Recorded)."""
    if status == "done":
        return VERIFY_FAILED if verify == "fail" else OK
    if recorded == "peer" or reason is None:
        return PEER_ERROR
    return REASONS[reason].exit_code if reason in REASONS else NO_ANSWER


class Code(StrEnum):
    """The words by which programs tell errors apart: `errors[].code` with --json. docs/json.md has the same table."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """`meaning` is one line for a person."""
        code = str.__new__(cls, word)
        code._value_ = word
        code.meaning = meaning
        return code

    ACCESS = "access", "it asks for more access than the call that it runs in has"
    ANSWERED = "answered", "the exchange is answered already"
    ARCHIVED = "archived", "the session is archived"
    BAD_ACCESS = "bad-access", "no such access, or the peer cannot be held to it"
    BAD_ADDRESS = "bad-address", "not the address of an exchange"
    BAD_BUDGET = "bad-budget", "not a budget"
    BAD_BODY = "bad-body", "the answer is not text"
    BAD_CHECK = "bad-check", "a check cannot be recorded"
    BAD_CONFIG = "bad-config", "a value in git config is wrong"
    BAD_DURATION = "bad-duration", "not a duration"
    BAD_ENCODING = "bad-encoding", "the input is not UTF-8"
    BAD_EFFORT = "bad-effort", "not the name of an effort"
    BAD_CWD = "bad-cwd", "the folder of --cwd is not there, or not in the working tree"
    BAD_FOLDER = "bad-folder", "a folder that gitrelay needs is something else"
    BAD_KEY = "bad-key", "an idempotency key cannot be recorded"
    BAD_MODEL = "bad-model", "not the name of a model"
    BAD_PATTERN = "bad-pattern", "not a regular expression, or not one line"
    BAD_REASON = "bad-reason", "the reason cannot be recorded"
    BAD_REVIEWER = "bad-reviewer", "that peer cannot review"
    BAD_SLUG = "bad-slug", "a name is not a slug"
    BAD_TASK = "bad-task", "the task is not text"
    BAD_UPDATE = "bad-update", "stdin is not what git tells a hook"
    BARE_REPOSITORY = "bare-repository", "the repository is bare and the verb needs a working tree"
    BRANCH_IN_THE_WAY = "branch-in-the-way", "a branch named 'relay' is in the way"
    BROKEN = "broken", "this installation lacks a part of itself"
    BUG = "bug", "unexpected; a log file is named"
    BUSY = "busy", "the session has a turn in flight, or somebody else holds what is needed"
    CANNOT_RECORD = "cannot-record", "this machine does not let gitrelay record"
    CANNOT_SIGN = "cannot-sign", "the commit cannot be signed"
    CANNOT_WRITE = "cannot-write", "a file cannot be written"
    CASE_FAILED = "case-failed", "a case of the conformance suite failed"
    CHECK_FAILED = "check-failed", "gitrelay's own check failed"
    CHECKED_OUT = "checked-out", "the session's branch is checked out somewhere else"
    CONFLICT = "conflict", "changes do not apply here"
    DAMAGED = "damaged", "an object or a ref cannot be read"
    DIVERGED = "diverged", "a session went on here and on the remote, each in its own way"
    DOCTOR = "doctor", "doctor found something missing"
    EDITED = "edited", "a file was edited after gitrelay wrote it"
    EMBEDDED = "embedded", "the embedded peer understands no tasks"
    EMPTY_BODY = "empty-body", "the answer is empty"
    EMPTY_TASK = "empty-task", "the task is empty"
    ERROR = "error", "any other expected failure"
    EXISTS = "exists", "what would be made is there already"
    GIT = "git", "git failed in a way that has no word of its own"
    GIT_CANNOT_OPEN = "git-cannot-open", "git cannot open the repository"
    GIT_HANGS = "git-hangs", "git, or a program that it runs, did not end in time"
    GIT_LOCKED = "git-locked", "git's own lock file is held"
    GIT_TOO_OLD = "git-too-old", "git is older than 2.30"
    HIDDEN_REFS = "hidden-refs", "the server takes no refs of that namespace"
    IN_THE_WAY = "in-the-way", "a hook would replace a file of somebody else"
    INTEGRITY = "integrity", "the ledger is not what gitrelay wrote"
    INTERRUPTED = "interrupted", "Ctrl-C"
    LOCKED = "locked", "a lock could not be had in time"
    NO_ATOMIC = "no-atomic", "the server cannot take several refs at once"
    NO_BASE = "no-base", "nothing to compare the change with"
    NO_CHECKS = "no-checks", "the exchange has no checks"
    NO_FILE = "no-file", "no such file there, or it is not text"
    NO_FOLDER = "no-folder", "no such folder"
    NO_GIT = "no-git", "git is not installed"
    NO_HOOKS = "no-hooks", "git runs no hooks here"
    NO_LOCKS = "no-locks", "the file system of the repository has no locks"
    NO_OPTION = "no-option", "the question has no such option"
    NO_QUESTION = "no-question", "nothing is asked there"
    NO_REASON = "no-reason", "an exception needs a reason"
    NO_PAGE = "no-page", "there is no such page of the documents"
    NO_REVIEWER = "no-reviewer", "no reviewer is named"
    NO_SIGNATURES = "no-signatures", "signatures cannot be checked here"
    NO_TREE = "no-tree", "no files are recorded for the exchange, or they are not in this clone"
    NO_WITNESS = "no-witness", "the other copy cannot be read"
    NOBODY_WORKS = "nobody-works", "the exchange is not answered, and nobody here works on it"
    NOT_A_REPOSITORY = "not-a-repository", "the folder is in no git repository"
    NOT_A_SESSION = "not-a-session", "a ref is not a session"
    NOT_ANSWERED = "not-answered", "the exchange has no answer yet"
    NOT_HERE = "not-here", "a session is a remote's, and has to be fetched before it goes on here"
    NOT_IMPORTED = "not-imported", "a session could not be imported"
    NOT_OURS = "not-ours", "a file is not from gitrelay"
    NOTHING_NEW = "nothing-new", "nothing would be pushed"
    PENDING = "pending", "the call goes on"
    PORT = "port", "the port cannot be had"
    PUSH_REFUSED = "push-refused", "the remote did not take the push"
    QUEUE_DENIED = "queue-denied", "the server of a queue does not let this user do what was asked"
    REDACTED = "redacted", "what was recorded is redacted and cannot be run again"
    ROLLED_BACK = "rolled-back", "a remote no longer has what it had shown"
    SECRET = "secret", "a secret is recorded"
    SECRET_NAME = "secret-name", "a name that would be recorded looks like a secret"
    SESSIONS_KEPT = "sessions-kept", "sessions would be published, and relay.pushSessions is block"
    SESSION_REFUSED = "session-refused", "a session of a remote breaks the rules and was not taken"
    SHARE = "share", "sessions are published only if a person says so"
    SHALLOW = "shallow", "the history of this clone is cut off before the base"
    SYMLINK = "symlink", "gitrelay would write through a symbolic link"
    TASK_TOO_LARGE = "task-too-large", "the task is larger than a message may be"
    TOO_MANY = "too-many", "more than one page holds"
    TRACKED = "tracked", "the hooks folder is part of the working tree"
    TWICE = "twice", "a peer is named twice"
    TWO_ADDRESSES = "two-addresses", "a remote has several push addresses"
    TWO_BASES = "two-bases", "two starts of a change are named"
    UNFIT_REMOTE = "unfit-remote", "a remote cannot hold a queue"
    UNKNOWN_EXCHANGE = "unknown-exchange", "no such exchange"
    UNKNOWN_PEER = "unknown-peer", "no such peer"
    UNKNOWN_REMOTE = "unknown-remote", "no such remote"
    UNKNOWN_REVISION = "unknown-revision", "git knows no such revision"
    UNKNOWN_SESSION = "unknown-session", "no such session"
    UNKNOWN_SHELL = "unknown-shell", "no completion for that shell"
    UNREACHABLE = "unreachable", "a remote gives no usable answer; what it did is not known"
    USAGE = "usage", "the words on the command line are wrong"
    VERIFY_FAILED = "verify-failed", "the peer answered verify: fail"
    WRONG_PARTY = "wrong-party", "--from or --to does not fit the request"


class RelayError(Exception):
    """Base of all expected failures: a message of one line, a hint, a code word, an exit code."""

    exit_code: int = BUG
    code: Code = Code.ERROR

    def __init__(self, message: str, *, hint: str = "", code: Code | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class UsageError(RelayError):
    """The words or the place are wrong; nothing was done."""

    exit_code = USAGE
    code = Code.USAGE


class Conflict(RelayError):
    """Changes do not go together with what is here; nothing was done."""

    exit_code = VERIFY_FAILED
    code = Code.CONFLICT


class CannotRecord(RelayError):
    """The machine does not let gitrelay record: git missing or too old, no write access, disk full, no signature."""

    exit_code = NO_ANSWER
    code = Code.CANNOT_RECORD


class Refused(RelayError):
    """A call asked for more access than it has."""

    exit_code = NO_ANSWER
    code = Code.ACCESS


class Busy(RelayError):
    """Somebody else holds what is needed."""

    exit_code = BUSY
    code = Code.BUSY


class NobodyWorks(RelayError):
    """A request is open and nobody here works on it, so that there is nothing to wait for."""

    exit_code = PENDING
    code = Code.NOBODY_WORKS


class IntegrityError(RelayError):
    """The ledger is not what gitrelay wrote."""

    exit_code = INTEGRITY
    code = Code.INTEGRITY


class Interrupted(RelayError):
    """Ctrl-C."""

    exit_code = INTERRUPTED
    code = Code.INTERRUPTED
