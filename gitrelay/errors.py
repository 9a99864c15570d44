"""Every way gitrelay can fail, and the only place that knows exit codes.

A `RelayError` is one line for the person (`message`), what to do next (`hint`), a stable word for
programs (`code`) and an exit code. A call that ended badly is not an exception: its response is
recorded, and `exit_code_of` reads the code from the record.
"""

from __future__ import annotations

from typing import Final

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
    VERIFY_FAILED: ("verify-failed", "the peer answered, and verify is fail; for fsck and check, a finding"),
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

# reason -> exit code, for responses that gitrelay had to write itself
REASONS: Final[dict[str, int]] = {
    "timeout": TIMEOUT,
    "idle": TIMEOUT,
    "no-output": NO_ANSWER,
    "cancelled": NO_ANSWER,
    "unavailable": NO_ANSWER,
    "auth": NO_ANSWER,
    "quota": NO_ANSWER,
    "bad-output": NO_ANSWER,
    "peer-failed": NO_ANSWER,
    "lost": NO_ANSWER,
    "sandbox": NO_ANSWER,
    "recursion": NO_ANSWER,
    "needs-input": PEER_ERROR,
}


def exit_code_of(status: str, verify: str, reason: str | None, recorded: str) -> int:
    """The exit code of an answered exchange. `recorded` is `peer` or `gitrelay` (trailer Relay-Recorded)."""
    if status == "done":
        return VERIFY_FAILED if verify == "fail" else OK
    if recorded == "peer" or reason is None:
        return PEER_ERROR
    return REASONS.get(reason, NO_ANSWER)


class RelayError(Exception):
    """Base of all expected failures: a message of one line, a hint, a code word, an exit code."""

    exit_code: int = BUG
    code: str = "error"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code


class UsageError(RelayError):
    """The words or the place are wrong; nothing was done."""

    exit_code = USAGE
    code = "usage"


class CannotRecord(RelayError):
    """The machine does not let gitrelay record: git missing or too old, no write access, disk full, no signature."""

    exit_code = NO_ANSWER
    code = "cannot-record"


class Busy(RelayError):
    """Somebody else holds what is needed."""

    exit_code = BUSY
    code = "busy"


class IntegrityError(RelayError):
    """The ledger is not what gitrelay wrote."""

    exit_code = INTEGRITY
    code = "integrity"


class Pending(RelayError):
    """Waited long enough; the call goes on."""

    exit_code = PENDING
    code = "pending"


class Interrupted(RelayError):
    """Ctrl-C."""

    exit_code = INTERRUPTED
    code = "interrupted"
