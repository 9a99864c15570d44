"""Which trailers there are, on which commits each may be, and what each may say. Pure, no I/O.

A trailer that is missing is no fault here: an older gitrelay did not write it. One that is not in this table is a
note: a newer gitrelay may have written it; one that only looks like one of these is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gitrelay.ground.text import quote
from gitrelay.protocol import check, names
from gitrelay.protocol.record import BINDING, Trailer

_WORD = re.compile(r".+")
_COUNT = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,9}\.[0-9]")
_USAGE = re.compile(r"[a-z_]+=[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_REPLAY = re.compile(r"(\S+) (?:again|new) [1-9][0-9]{0,2}")
_LIMITS: Final = frozenset({"timeout", "idle-timeout", "first-output", "check"})


def _is_usage(value: str) -> bool:
    return all(_USAGE.fullmatch(part) for part in value.split(" "))


def _are_addresses(value: str) -> bool:
    return all(_is_address(word) for word in re.split(r",? ", value))


def _is_address(word: str) -> bool:
    session, slash, id_ = word.partition("/")
    return names.is_session(session) and names.is_id(id_) if slash else names.is_one_shot(word)


def _is_replay(value: str) -> bool:
    """`ADDRESS again 2`: the second run of that exchange with its own peer; `new` is with the other one."""
    found = _REPLAY.fullmatch(value)
    return found is not None and _is_address(found[1])


def _is_list(value: str) -> bool:
    return check.parse_list(value) is not None


def _is_limits(value: str) -> bool:
    """An object: the limit's name -> seconds, or null for no limit."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(
        name in _LIMITS and (limit is None or (type(limit) in (int, float) and limit > 0))
        for name, limit in found.items()
    )


def _is_context(value: str) -> bool:
    pairs = [word.partition("@") for word in value.split(" ")]
    return all(_is_address(address) and names.is_object_id(commit) for address, _, commit in pairs)


def _is(*words: str) -> Callable[[str], bool]:
    return frozenset(words).__contains__


def _fits(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: pattern.fullmatch(value) is not None


_ANY = _fits(_WORD)
_REQ, _RES, _CHECK, _BOTH, _ALL = ("req",), ("res",), ("check",), ("req", "res"), ("req", "res", "check", "apply")
# trailer -> (the kinds of commit it may be on, what it may say); what the message repeats is compared by other rules
TRAILERS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str], bool]]]] = {
    Trailer.VERSION: (("open",), _ANY),
    Trailer.ID: (_ALL, _ANY),
    Trailer.FROM: (_BOTH, _ANY),
    Trailer.TO: (_BOTH, _ANY),
    Trailer.HEAD: (_ALL, _ANY),
    Trailer.TREE: (_ALL, _ANY),
    Trailer.ACCESS: (_REQ, _ANY),
    Trailer.KEY: (_REQ, _ANY),
    Trailer.STATUS: (_RES, _ANY),
    Trailer.VERIFY: (_RES, _ANY),
    Trailer.REASON: (_RES, _ANY),
    Trailer.RECORDED: (_RES, _ANY),
    Trailer.CHECK: (_CHECK, _ANY),
    Trailer.SANDBOX: (_RES, _ANY),
    Trailer.PEER: (_RES, _ANY),
    Trailer.MODEL: (_RES, _ANY),
    Trailer.PEER_SESSION: (_RES, _ANY),
    Trailer.DURATION: (_RES, _fits(_SECONDS)),
    Trailer.USAGE: (_RES, _is_usage),
    Trailer.CONTINUATION: (_RES, _is("native", "files")),
    Trailer.REDACTED: (_ALL, _fits(_COUNT)),
    Trailer.BYPASS: (_RES, _ANY),
    "Signed-off-by": (_RES, _ANY),
    Trailer.LEFT_OUT: (_ALL, _fits(_COUNT)),
    Trailer.WORKSPACE: (_BOTH, _is("isolated", "shared")),
    Trailer.SHARED: (("res", "check"), _are_addresses),
    Trailer.ASKED_MODEL: (_REQ, _ANY),
    Trailer.ASKED_EFFORT: (_REQ, _ANY),
    Trailer.ASKED_LIMITS: (_REQ, _is_limits),
    Trailer.ASKED_CWD: (_REQ, _ANY),
    Trailer.DEPTH: (_REQ, _fits(_COUNT)),
    Trailer.REMOTE_CHECKS: (_REQ, _is_list),
    Trailer.WORKER_CHECKS: (_RES, _is_list),
    Trailer.CONTEXT: (_REQ, _is_context),
    Trailer.ASKED_CHECKS: (_REQ, _ANY),
    Trailer.TOOL: (_BOTH, _ANY),
    Trailer.PROMPT: (_BOTH, _fits(_DIGEST)),
    Trailer.REPLAY: (_REQ, _is_replay),
    Trailer.DENIED: (_RES, _fits(_COUNT)),
    Trailer.BY: (("res", "check", "apply"), _ANY),
    Trailer.IN: (("res", "check", "apply"), _is_address),
    Trailer.LOOP: (_BOTH, _ANY),
    Trailer.ROUND: (_BOTH, _fits(_COUNT)),
    Trailer.ATTEMPTS: (_RES, _ANY),
    Trailer.PICKED: (_RES, _ANY),
    Trailer.BUDGET: (_REQ, _ANY),
    Trailer.WORKER: (_RES, _ANY),
    Trailer.JOB: (_BOTH, _ANY),
    Trailer.EPOCH: (_RES, _fits(_COUNT)),
    Trailer.REPOSITORY: (_REQ, _ANY),
    Trailer.NOT_AFTER: (_REQ, _ANY),
}
_BARE: Final = {re.sub("[^a-z]", "", name.lower()): name for name in TRAILERS}
_KNOWN: Final = {kind: frozenset(k for k, (kinds, _) in TRAILERS.items() if kind in kinds) for kind in (*_ALL, "open")}
_FORMS: Final = {name: form for name, (_, form) in TRAILERS.items() if form is not _ANY}
_LINE = re.compile(r"^[ \t]*(?:[-*] ?)?((?:relay[-_. ]|signed[-_ ]off)[\w-]*)[ \t]*:", re.IGNORECASE | re.MULTILINE)


def judged(kind: str, trailers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(code, words) for each trailer that is not as it may be. `kind` is `open`, `req`, `res`, `check` or `apply`."""
    for key in trailers.keys() - _KNOWN[kind]:
        if not (key.startswith(BINDING) and kind in _BOTH):  # of a review; rule `review` reads them
            yield _stranger(kind, key)
    for key in trailers.keys() & _FORMS.keys():
        if not _FORMS[key](trailers[key]):
            yield "trailer-value", f"{key} is {quote(trailers[key])}"


def _stranger(kind: str, key: str) -> tuple[str, str]:
    if key in TRAILERS:
        return "look-alike", f"{key} does not belong on a {kind}"
    near = _near(key)
    if near is not None:
        return "look-alike", f"{quote(key)} looks like {near}"
    if key.startswith("Relay-"):
        return "unknown-trailer", f"{quote(key)} is not known here; a newer gitrelay may have written it"
    return "look-alike", f"{quote(key)} is no trailer of a session"


def _near(key: str) -> str | None:
    """The trailer that a reader may take `key` for: the same letters, or one letter more, fewer, changed or swapped."""
    bare = re.sub("[^a-z]", "", key.lower())
    if bare in _BARE:
        return _BARE[bare]
    return next((name for letters, name in _BARE.items() if _differ_little(bare, letters)), None)


def _differ_little(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest_a, rest_b = a[at:], b[at:]
    swapped = rest_a[:2] == rest_b[1::-1] and len(rest_a) > 1 and rest_a[2:] == rest_b[2:]
    return swapped or rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]


def in_notes(notes: str) -> str | None:
    """The first line before the trailers that a reader may take for one, None if there is none."""
    found = _LINE.search(notes)
    return found[1] if found else None
