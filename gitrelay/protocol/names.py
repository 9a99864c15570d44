"""The names of things: slugs, ids, addresses. Pure rules, no I/O.

A session turn is `01`, `02`, ... `100`; a one-shot is `YYYYMMDD-HHMM-<name>` and is a session of its
own name. An address is `<session>/<id>`, and a one-shot's first exchange is its id alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote

SLUG_MAX = 64
REPLAY = "replay"  # whom a replay's plan is addressed to: gitrelay itself answers it, with the report
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_ONE_SHOT = re.compile(r"[0-9]{8}-[0-9]{4}-([a-z0-9][a-z0-9-]*)")
_TURN = re.compile(r"0[1-9]|[1-9][0-9]+")
_KEPT = re.compile(r"(.+)-mine(?:-[0-9]+)?")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# 14 characters of date and time, the name, and room for the suffix of a name used twice in a minute
_ONE_SHOT_MAX = 14 + SLUG_MAX + 5


def is_slug(text: str) -> bool:
    return len(text) <= SLUG_MAX and _SLUG.fullmatch(text) is not None


def is_one_shot(text: str) -> bool:
    return len(text) <= _ONE_SHOT_MAX and _ONE_SHOT.fullmatch(text) is not None


def is_turn(text: str) -> bool:
    return _TURN.fullmatch(text) is not None


def is_id(text: str) -> bool:
    return is_turn(text) or is_one_shot(text)


def is_session(text: str) -> bool:
    return is_slug(text) or is_one_shot(text)


def kept_name(session: str, again: int = 1) -> str:
    """The name under which our line of `session` goes on, if that name now has a remote's: `S-mine`, `S-mine-2`."""
    end = "-mine" if again == 1 else f"-mine-{again}"
    most = _ONE_SHOT_MAX if is_one_shot(session) else SLUG_MAX
    return session[: most - len(end)] + end


def is_kept(name: str, session: str) -> bool:
    """Whether `name` is one that `kept_name` gives to `session`."""
    found = _KEPT.fullmatch(name)
    if found is None or not session.startswith(found[1]):
        return False
    return session == found[1] or len(found[1]) >= SLUG_MAX - 10  # cut, because it is as long as a name may be


def is_object_id(text: str) -> bool:
    """Whether `text` is a whole object id, of either of git's hashes."""
    return _OBJECT_ID.fullmatch(text) is not None


def slugify(text: str, *, default: str, limit: int = SLUG_MAX) -> str:
    """A slug near to `text`: accents folded, everything else a hyphen; `default` if nothing is left."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:limit].rstrip("-")
    return slug or default


def check_slug(text: str, what: str) -> str:
    """`text`, or UsageError that quotes it. `what` names the option or argument."""
    if is_slug(text):
        return text
    raise UsageError(f"{what} {quote(text)} is not a slug", hint=_slug_hint(text), code=Code.BAD_SLUG)


def check_session(text: str, what: str = "session") -> str:
    """A session's name: a slug, or the id of a one-shot that is to be continued."""
    if is_session(text):
        return text
    raise UsageError(f"{what} {quote(text)} is not a slug", hint=_slug_hint(text), code=Code.BAD_SLUG)


def _slug_hint(text: str) -> str:
    rule = f"a slug is a-z, 0-9 and '-', begins with a letter or digit, and has at most {SLUG_MAX} characters"
    near = slugify(text, default="")
    return f"{rule}; try {near!r}" if near else rule


def one_shot_id(name: str, now: datetime, again: int = 1) -> str:
    """`YYYYMMDD-HHMM-<name>` in the local time `now`; `again` = 2 gives `...-2`."""
    base = f"{now:%Y%m%d-%H%M}-{name}"
    return base if again == 1 else f"{base}-{again}"


def turn_id(number: int) -> str:
    return f"{number:02d}"


def name_of_task(task: str) -> str:
    """The default `--name`: a slug of the task's first words (at most five, 40 characters)."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKD", task[:400]))
    return slugify(" ".join(words[:5]), default="task", limit=40)


@dataclass(frozen=True, order=True)
class Address:
    """The name of an exchange: the session and the id in it."""

    session: str
    id: str

    def __str__(self) -> str:
        return self.id if self.session == self.id else f"{self.session}/{self.id}"


def is_address(text: str) -> bool:
    session, slash, turn = text.partition("/")
    return is_session(session) and _is_of(turn, session) if slash else is_one_shot(text)


def _is_of(id_: str, session: str) -> bool:
    """Whether a session may have that id: a turn's, or that of the one-shot which it was."""
    return is_turn(id_) or id_ == session or (is_one_shot(id_) and is_kept(session, id_))


def parse_address(text: str) -> Address:
    """`<session>/<id>` or a one-shot's id. Raises UsageError that quotes what was given."""
    session, slash, turn = text.partition("/")
    if slash and is_session(session) and _is_of(turn, session):
        return Address(session, turn)
    if not slash and is_one_shot(text):
        return Address(text, text)
    raise UsageError(
        f"{quote(text)} is not the address of an exchange",
        hint="an address is SESSION/ID, as auth-refactor/02, or a one-shot's id; 'git relay ls' lists the sessions",
        code=Code.BAD_ADDRESS,
    )
