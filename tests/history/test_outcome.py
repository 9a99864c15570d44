"""One word for how an exchange ended, whatever is asked and whatever is printed."""

from __future__ import annotations

import pytest

from gitrelay.history.outcome import outcome_of, shown


@pytest.mark.parametrize(
    ("status", "verify", "reason", "checked", "failed", "outcome"),
    [
        ("pending", None, None, False, False, "pending"),
        ("done", "pass", None, False, False, "pass"),
        ("done", "pass", None, True, False, "pass"),
        ("done", "pass", None, True, True, "check-failed"),
        ("done", "fail", None, True, True, "check-failed"),
        ("done", "fail", None, True, False, "fail"),
        ("done", "skip", None, False, False, "unverified"),
        ("done", "skip", None, True, False, "pass"),
        ("error", "skip", "quota", False, False, "error:quota"),
        ("error", "skip", "timeout", True, True, "error:timeout"),
        ("error", "skip", None, False, False, "error:peer-error"),
        ("open", None, None, False, False, "open"),
        ("damaged", None, None, False, False, "damaged"),
    ],
)
def test_the_word(
    status: str, verify: str | None, reason: str | None, checked: bool, failed: bool, outcome: str
) -> None:
    assert outcome_of(status, verify, reason, checked=checked, check_failed=failed) == outcome


def test_a_claimed_pass_is_told_from_a_checked_one() -> None:
    assert shown("pass", False) == "pass"
    assert shown("pass", True) == "pass (checked)"
    assert shown("fail", True) == "fail"
