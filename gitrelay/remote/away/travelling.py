"""What a request to a worker says besides its task: limits, folder, depth and a last moment, as trailers.

They are part of the signed commit. Who reads them back trusts nothing in them: a limit only ever makes a
worker's own one shorter, and a depth that cannot be read is too deep.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from gitrelay import environment
from gitrelay.calls import wording
from gitrelay.calls.plan import Plan
from gitrelay.calls.settings import Given
from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground import duration
from gitrelay.ground.text import plain, quote
from gitrelay.ground.value import dataclass
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.process.values import Limits
from gitrelay.protocol import check, names
from gitrelay.protocol.record import BINDING, Commit, Trailer
from gitrelay.protocol.words import Access
from gitrelay.remote.queue import trust

EXPIRES: Final = 86400.0  # seconds in which a worker may take a request, unless the caller says otherwise
_CHECKS_SIZE: Final = 900  # characters of the trailer; a longer one would be cut
TOO_DEEP: Final = 999
CHANGES: Final = "refs/relay/review/"  # the commits that are to be reviewed, at a remote
_REVIEWED: Final = BINDING + "Head"
_NEVER: Final = (".git", ".relay")


def expiry(given: str | None) -> float:
    """Seconds of `--expires`. Raises UsageError."""
    if given is None:
        return EXPIRES
    seconds = duration.parse(given, "--expires")
    if seconds > trust.LONGEST:
        raise UsageError(f"--expires {quote(given)} is too long", hint="at most 7d", code=Code.BAD_DURATION)
    return seconds


def asked_limits(given: Given) -> dict[str, float]:
    """The limits that the command line names, in seconds. Raises UsageError."""
    words = {
        "timeout": (given.timeout, "--timeout"),
        "idle-timeout": (given.idle_timeout, "--idle-timeout"),
        "first-output": (given.first_output, "--first-output"),
    }
    parsed = {key: duration.parse_limit(text, option) for key, (text, option) in words.items() if text is not None}
    return {key: seconds for key, seconds in parsed.items() if seconds is not None}


@dataclass(frozen=True)
class Extra:
    """What is asked of a worker besides: limits in seconds, how long it may take to take the call, commands to run."""

    limits: dict[str, float]
    expires: float
    checks: tuple[str, ...]


def extra(ledger: Ledger, given: Given, expires: str | None, checks: Sequence[str]) -> Extra:
    """The same out of words as they were typed. Raises UsageError."""
    return Extra(asked_limits(given), expiry(expires), _remote_checks(ledger, checks, given.access))


def _remote_checks(ledger: Ledger, given: Sequence[str], access: str | None) -> tuple[str, ...]:
    """The commands of `--check-remote`, in the order in which they were typed. Raises UsageError."""
    found = tuple(dict.fromkeys(wording.checked(command, "--check-remote") for command in given))
    for command in found:
        if ledger.redactor.redact(command).total:
            raise UsageError("--check-remote looks like a secret, and it is recorded", hint="name a variable instead")
    if found and access == Access.READ:
        raise UsageError("--check-remote and --access read exclude each other", hint="a check is a command: write")
    if len(found) > trust.CHECKS_MAX or len(check.render_list(found)) > _CHECKS_SIZE:
        raise UsageError(
            f"--check-remote: {len(found)} commands are too long for one request",
            hint="put them into a script of the repository, and name that",
            code=Code.BAD_CHECK,
        )
    return found


def same_checks(recorded: Exchange, wanted: Extra) -> None:
    """Raise UsageError if the exchange that holds the key was asked with other checks for the worker."""
    before = recorded.request.trailers.get(Trailer.REMOTE_CHECKS, "")
    if before != check.render_list(wanted.checks):
        raise UsageError(
            f"key {quote(recorded.request.key or '')} belongs to {recorded.address}, another request: "
            f"its --check-remote is {quote(before or 'none')}",
            hint=f"git relay show {recorded.address}, or use a key of its own for this request",
            code=Code.BAD_KEY,
        )


def trailers(repo: Repository, plan: Plan, job: str, extra: Extra) -> dict[str, str]:
    """What the request of the job says besides what every request says."""
    return {
        Trailer.JOB: job,
        Trailer.REPOSITORY: trust.repository_id(repo),
        Trailer.NOT_AFTER: str(int(time.time() + extra.expires)),
        Trailer.ASKED_LIMITS: json.dumps(extra.limits) if extra.limits else "",
        Trailer.ASKED_CWD: plan.below,
        Trailer.REMOTE_CHECKS: check.render_list(extra.checks),
        Trailer.DEPTH: str(environment.depth(os.environ) or ""),
    }


def limits(commit: Commit, own: Limits) -> Limits:
    """The worker's `own` limits, made shorter where the request asks for less."""
    try:
        said = json.loads(commit.trailers.get(Trailer.ASKED_LIMITS, "{}"))
    except (ValueError, RecursionError):
        said = {}
    said = said if isinstance(said, dict) else {}

    def shorter(limit: float | None, key: str) -> float | None:
        asked = said.get(key)
        if isinstance(asked, bool) or not isinstance(asked, int | float) or not math.isfinite(asked) or asked <= 0:
            return limit
        return float(asked) if limit is None else min(limit, float(asked))

    return Limits(
        shorter(own.wall, "timeout"), shorter(own.idle, "idle-timeout"), shorter(own.first_output, "first-output")
    )


def folder(commit: Commit) -> str | None:
    """The folder that the peer is started in, from the top of the files; None if that is no folder below it."""
    word = commit.trailers.get(Trailer.ASKED_CWD, "")
    path = PurePosixPath(word)
    if word and (path.is_absolute() or plain(word) != word or {"..", *_NEVER} & set(path.parts) or str(path) != word):
        return None
    return word


def change(commit: Commit) -> str:
    """The commit that is to be reviewed, if the request asks for a review, else ''."""
    head = commit.trailers.get(_REVIEWED, "")
    return head if names.is_object_id(head) else ""


def depth(commit: Commit) -> int:
    """How many calls the request is below a person, on the machine that asked."""
    word = commit.trailers.get(Trailer.DEPTH, "0")
    return int(word) if word.isascii() and word.isdecimal() and len(word) <= 3 else TOO_DEEP
