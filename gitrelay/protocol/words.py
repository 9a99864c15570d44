"""The words of the record that come from a closed list: statuses, verdicts, access, who recorded, what was seen.

Each is a string, so that it is compared with and written as what is in a trailer. Pure, no I/O.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How an exchange ended, as the front matter of its response says."""

    DONE = "done"
    ERROR = "error"


class Verify(StrEnum):
    """What the peer says about its own tests; for a review its verdict."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"


class Access(StrEnum):
    """What a peer may do: look; edit and run; everything. The order of the members is that of their reach."""

    READ = "read"
    WRITE = "write"
    FULL = "full"

    @property
    def rank(self) -> int:
        return list(Access).index(self)

    def covers(self, other: Access) -> bool:
        """Whether a call with this access may do all that one with `other` may."""
        return self.rank >= other.rank


class Recorded(StrEnum):
    """Who wrote a response: the peer itself, or gitrelay because the peer gave none."""

    PEER = "peer"
    GITRELAY = "gitrelay"


class Sandbox(StrEnum):
    """Whether read access was kept: nothing changed; something did; or nobody can tell who did it."""

    HELD = "held"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
