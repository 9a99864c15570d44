"""What an agent's program says in its own name, and not its model: limits, refusals, log-ins, errors of its service.

Programs print such words where an answer belongs, with exit code 0 and as a success. They are told from a model that
writes about such words by their form: it is the whole message, one or two lines in the exact wordings of the programs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

_LONGEST: Final = 600  # characters; the longest one known, a refusal by policy, has 330
_LINES: Final = 4
_HAVE: Final = r"(?:you've|you have|your \w+ has) (?:hit|reached|exceeded|used up|used all of|exhausted|run out of) "
_TURNS: Final = r"(?:the )?max(?:imum)? (?:number of )?(?:session )?turns"
_LIMIT: Final = r"(?:limits?|quota|cap|budget|credits?|usage|capacity on this model)"
_PLAN: Final = (
    r"(?:(?:your|the|claude|ai|code|pro|max|opus|sonnet|haiku|fast|extra|api|\d+-hour|daily|weekly|monthly) )"
)
# behind the word `limit`: nothing, a time, what to do; and no sentence of anybody's about a limit of something
_TIME: Final = r"\s+(?:for \S+(?: \S+)? )?(?:(?:and|or|it|will|your \w+) )*(?:resets?|try again|upgrade|until)\b.*"
_THEN: Final = rf"(?:\W*|\s*[|·∙•.,;:(-].*|{_TIME})"
# in order, the first that matches the whole message; the wordings are those of claude 1.0 to 2.1, codex 0.2 to 0.169,
# gemini 0.1 to 0.61
_FORMS: Final = (
    ("refused", r"(?:api error: )?.{0,60}unable to respond to this request, which appears to violate .*"),
    (
        "refused",
        r"(?:api error: )?(?:this|your) (?:request|prompt) (?:was|has been|is) (?:flagged|blocked)\b.*",
    ),
    ("refused", r"(?:api error: )?output blocked by content filtering policy.*"),
    ("quota", rf"{_HAVE}(?:your |all your )(?:[\w$'-]+ ){{0,4}}{_LIMIT}{_THEN}"),
    ("quota", rf"{_PLAN}{{0,4}}(?:(?:usage|rate|session|spending|message|model) )?limit reached{_THEN}"),
    ("quota", rf"you(?:'re| are) (?:now )?out of (?:extra )?(?:usage|credits){_THEN}"),
    ("quota", r"(?:your )?(?:(?:usage|session|weekly) )?limit will reset\b.*"),
    ("quota", r"(?:your )?credit balance is too low\b.{0,120}"),
    ("quota", r"quota exceeded for quota metric\b.*"),
    ("auth", r"(?:invalid api key|not logged in|login expired)(?:\W*|\s*[·∙.:(-].{0,200})"),
    ("auth", r"oauth token (?:has )?(?:been )?(?:expired|revoked)\b.{0,200}"),
    ("auth", r".{0,120}\bplease run /login\W*"),
    ("auth", r"(?:error: )?failed to authenticate[.:].*"),
    ("auth", r"please (?:log|sign) in (?:again|to continue|with|using)\b.{0,100}"),
    ("api", r"\[?(?-i:API Error)(?::| ?\().*"),
    (
        "peer-failed",
        r"(?:error: )?(?:reached|exceeded) (?:the )?max(?:imum)? (?:number of )?(?:session )?turns\b.{0,100}",
    ),
    ("peer-failed", rf"(?:error: )?{_TURNS} (?:was |were )?(?:reached|exceeded)\b.{{0,100}}"),
    ("peer-failed", r"(?:error: )?(?:execution error|prompt is too long|request timed out|request was aborted)\W*"),
    ("peer-failed", r"\[request interrupted by user.{0,40}\]"),
    ("no-output", r"no response requested\W*"),
    ("no-output", r"\(no content\)"),
)
_ASCII: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-", "\u00a0": " "})
_EPOCH: Final = re.compile(r"\|(\d{10})(?:\d{3})?\b")

# words of an error -> reason, in order; what is said in the middle of an error's words, in lower case
_REFUSED: Final = (
    "usage policy",
    "usage policies",
    "content policy",
    "content_policy",
    "content filter",
    "content_filter",
    "safety policy",
    "safety reasons",
    "safety_check",
    "prohibited_content",
    "prohibited content",
    "flagged for",
    "was flagged",
    "invalid_prompt",
    "blocked by the model's safety",
    "cyber_policy",
)
_AUTH: Final = (
    "401 unauthorized",
    "403 forbidden",
    "unauthenticated",
    "not logged in",
    "not authenticated",
    "missing environment variable",  # codex, whose provider takes its key from one
    "invalid api key",
    "incorrect api key",
    "api key not valid",  # Google says it with a status of 400
    "no api key",
    "api key is missing",
    "api key not found",
    "authentication",
    "auth method",
    "failed to authenticate",
    "token has expired",
    "login required",
    "please log in",
    "please sign in",
    "/login",
    "auth login",
)
_QUOTA: Final = (
    "rate limit",
    "rate_limit",
    "ratelimit",
    "quota",
    "usage limit",
    "usage_limit",
    "hit your limit",
    "limit reached",
    "credit balance",
    "insufficient credit",
    "insufficient balance",
    "insufficient funds",
    "out of credits",
    "too many requests",
    "resource_exhausted",
    "exhausted your capacity",
    "spending limit",
    "spend limit",
    "usage cap",
)
_UNREACHABLE: Final = (
    "error sending request",
    "connection refused",
    "econnrefused",
    "econnreset",
    "unable to connect",
    "connection error",
    "fetch failed",
    "enotfound",
    "getaddrinfo",
    "network is unreachable",
    "stream disconnected before",
)


@functools.cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compiled when a message is asked about: that takes 5 ms, and few calls have one that is short enough."""
    return tuple((reason, re.compile(form, re.IGNORECASE | re.DOTALL)) for reason, form in _FORMS)


def own_words(text: str) -> tuple[str, str] | None:
    """(reason, the words) if `text`, whole, is what a program says in its own name; None for anything else."""
    words = text.strip().strip("*_ \u26a0\ufe0f").translate(_ASCII)
    if not words or len(words) > _LONGEST or words.count("\n") >= _LINES:
        return None
    for reason, form in _forms():
        if form.fullmatch(words):
            return (reason_of_status(None, words) if reason == "api" else reason), with_times(words)
    return None


def with_times(words: str) -> str:
    """`words` with a moment that is told as seconds since the epoch, as `limit reached|1760000400`, made readable."""
    return _EPOCH.sub(lambda m: f", resets {moment(int(m[1]))}", words)


def moment(seconds: int) -> str:
    """Seconds since the epoch as `2025-10-09 09:00 UTC`; '' for what is no moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def reset_of(limit: object) -> str:
    """When a limit that an event tells of ends, `resets 2025-10-09 09:00 UTC`; '' if it does not say."""
    at = (
        next((limit[key] for key in ("resetsAt", "resets_at") if key in limit), None)
        if isinstance(limit, Mapping)
        else None
    )
    if isinstance(at, int) and not isinstance(at, bool) and moment(at):
        return f"resets {moment(at)}"
    return f"resets {at[:60]}" if isinstance(at, str) and at else ""


def reason_of_status(status: int | None, words: str) -> str:
    """The typed reason for an HTTP status of a provider, or for the words of an error."""
    lowered = words.lower()
    found = re.search(r"\b(?:api error|status|http|code)\W{1,4}(\d{3})\b", lowered)
    status = status if status is not None or found is None else int(found[1])
    if any(part in lowered for part in _REFUSED):
        return "refused"
    if status in (402, 429):  # a number outweighs words: pages about limits name the way to log in too
        return "quota"
    if status in (401, 403) or any(part in lowered for part in _AUTH):
        return "auth"
    if any(part in lowered for part in _QUOTA):
        return "quota"
    if status is None and re.search(r"\b429\b", lowered):  # a port or an id may hold these digits too
        return "quota"
    return "unavailable" if any(part in lowered for part in _UNREACHABLE) else "peer-failed"
