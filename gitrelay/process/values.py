"""The limits of a child process, and how it ended."""

from __future__ import annotations

from gitrelay.ground.value import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds; None is no limit. `first_output` ends when the peer's model first says or does something."""

    wall: float | None = None
    idle: float | None = None
    first_output: float | None = None


@dataclass(frozen=True)
class Ending:
    """How a child ended. `stopped` is None if it ended by itself, else the reason it was stopped for.

    `exit_code` is negative for a signal, None if the program did not start (`error` says why). `lingered`: it had
    finished and did not end, so it was ended; its exit code tells nothing then.
    """

    exit_code: int | None
    seconds: float
    stopped: str | None = None
    detail: str = ""
    error: str = ""
    lingered: bool = False
