"""How an exchange ended, in one word that is the same everywhere. Pure, no I/O."""

from __future__ import annotations

from typing import Final

PASS: Final = "pass"
FAIL: Final = "fail"
UNVERIFIED: Final = "unverified"
CHECK_FAILED: Final = "check-failed"
PENDING: Final = "pending"
ERROR: Final = "error:"  # then the reason
NO_REASON: Final = "peer-error"  # the reason of an error for which the peer gave none
WORDS: Final = (PASS, FAIL, UNVERIFIED, CHECK_FAILED, PENDING)  # and ERROR with a reason


def outcome_of(status: str, verify: str | None, reason: str | None, *, checked: bool, check_failed: bool) -> str:
    """`pass`, `fail`, `unverified`, `check-failed`, `error:REASON` or `pending`; another status as it is.

    `checked`: gitrelay ran a check on the answer, `check_failed`: the last run of one of them did not pass. A check
    that passes makes a pass of an answer that claims nothing, but not of one that says `fail`.
    """
    if status == "error":
        return ERROR + (reason or NO_REASON)
    if status != "done":
        return status
    if check_failed:
        return CHECK_FAILED
    if verify == "fail":
        return FAIL
    return PASS if verify == "pass" or checked else UNVERIFIED


def has_failed(outcome: str) -> bool:
    """Whether it failed: the peer says so, a check says so, or there is no answer that counts."""
    return outcome in (FAIL, CHECK_FAILED) or outcome.startswith(ERROR)


def shown(outcome: str, checked: bool) -> str:
    """The outcome for a person: a pass that gitrelay saw itself is told from one that the peer claims."""
    return f"{outcome} (checked)" if outcome == PASS and checked else outcome
