"""The exchange that a person means: `S/01`, `S/1`, a session, `@last`, or nothing at all.

What is copied from elsewhere is taken too: a branch's name (`relay/S`, `refs/heads/relay/S`) and the path of a
message (`.relay/S/01.res.md`).
"""

from __future__ import annotations

import re
from typing import Final

from gitrelay.calls import group
from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.ground.text import quote
from gitrelay.history import batch, exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.message import FILE
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer, name_of

LAST: Final = "@last"
_PREFIXES: Final = (BRANCHES, ARCHIVE, "heads/relay/", "relay/", ".relay/", "./.relay/")
_NUMBER: Final = re.compile(r"0*[1-9][0-9]{0,8}")


def meant(ledger: Ledger, word: str | None, *, pick: bool = False) -> Address:
    """The exchange that `word` means; None and `@last` mean the last call of this repository.

    A session means its last turn, a one-shot's id that one-shot. `pick`: for a group, its picked attempt. Raises
    UsageError if the word can be no address, if there is no such session, or if nothing was asked yet.
    """
    if word == "":  # a shell variable that is not set
        raise UsageError("'' is no address", hint="git relay ls, or @last for the last call", code=Code.BAD_ADDRESS)
    if word is None or word == LAST:
        address = last(ledger)
    else:
        address = _written(plain(word)) or _last_turn(ledger, plain(word), word)
    if not pick:
        return address
    found = next(iter(exchanges.exchanges(ledger, address.session)), None)
    if found is None or not group.is_group(found) or found.address != address:
        return address
    best = group.picked(ledger, address.session)
    if best is None:
        raise UsageError(
            f"no attempt of {address.session} was picked",
            hint=f"git relay compare {address.session}",
            code=Code.BAD_ADDRESS,
        )
    return best


def plain(word: str) -> str:
    """`word` as an address or a session: without what a branch's name or a message's path adds."""
    word = word.removesuffix("/")
    session, slash, rest = word.partition("/")
    if slash and not (names.is_session(session) and _turn(session, rest)):
        for prefix in _PREFIXES:
            if word.startswith(prefix) and len(word) > len(prefix):
                word = word.removeprefix(prefix)
                break
    session, slash, rest = word.partition("/")
    file = FILE.fullmatch(rest)
    return f"{session}/{file[1]}" if file else word


def _turn(session: str, text: str) -> str | None:
    """The id that `text` means in `session`: `1` is `01`, and in a one-shot the one-shot itself; None for no id."""
    if text == session:
        return text
    if not _NUMBER.fullmatch(text):
        return None
    return session if int(text) == 1 and names.is_one_shot(session) else names.turn_id(int(text))


def _written(word: str) -> Address | None:
    """The address that `word` is; None for a session's name. Raises UsageError for what is neither."""
    session, slash, rest = word.partition("/")
    id_ = _turn(session, rest) if slash and names.is_session(session) else None
    if id_ is not None:
        return Address(session, id_)
    if not slash and names.is_slug(word) and not names.is_one_shot(word):
        return None
    return names.parse_address(word)


def _last_turn(ledger: Ledger, session: str, word: str) -> Address:
    found = exchanges.exchanges(ledger, session)
    if not found:
        raise UsageError(f"session {quote(word)} has no exchanges yet", hint="git relay ls", code=Code.UNKNOWN_EXCHANGE)
    return found[0].address if group.is_group(found[0]) else found[-1].address


def last(ledger: Ledger) -> Address:
    """The call that was asked last in this repository; the group, if that is one of its attempts. Raises UsageError."""
    rows = ledger.repo.each_ref("%(committerdate:unix)%00%(refname)", BRANCHES, ARCHIVE)
    named = [(int(time or 0), name_of(ref)) for time, ref in rows]
    tips = sorted((one for one in named if names.is_session(one[1])), reverse=True)
    best: tuple[tuple[float, float, float], Exchange] | None = None
    for time, session in tips:
        if best is not None and time < best[0][0]:
            break  # nothing there is newer
        try:
            found = batch.read(ledger, [session]).sessions.get(session, ())
        except RelayError:
            continue
        for e in found[-1:]:
            one = (float(e.request.time), _started(ledger, e.address), _moved(ledger, session)), e
            best = one if best is None else max(best, one, key=lambda it: it[0])
    if best is None:
        raise UsageError("nothing was asked here yet", hint="git relay req PEER TASK", code=Code.UNKNOWN_EXCHANGE)
    return _whole(ledger, best[1].address)


def _started(ledger: Ledger, address: Address) -> float:
    """When a call began, to the fraction of a second, if this machine still knows: a commit's time is in seconds."""
    call = ledger.state.call(address.session).load()
    return call.started if call is not None and call.id == address.id else 0.0


def _moved(ledger: Ledger, session: str) -> float:
    """When the branch of a session moved last, to the fraction of a second, by its reflog; 0 without one."""
    try:
        return (ledger.repo.common_dir / "logs" / f"{BRANCHES}{session}").stat().st_mtime
    except OSError:
        return 0.0


def _whole(ledger: Ledger, address: Address) -> Address:
    """The group that `address` is an attempt of, else `address` itself."""
    parts = address.session.split("-")
    for name in ("-".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)):
        known = group.load(ledger, name)
        if known is not None and address.session in [session for _, session in known.attempts]:
            return known.address
    return address


def is_one(ledger: Ledger, word: str) -> bool:
    """Whether `word` is meant as an address or a session, and not as text."""
    word = plain(word)
    session, slash, rest = word.partition("/")
    if word == LAST or names.is_one_shot(word) or (slash and names.is_session(session) and _turn(session, rest)):
        return True
    return names.is_session(word) and any(tip is not None for tip in ledger.tips([BRANCHES + word, ARCHIVE + word]))


def asked_of_nobody(ledger: Ledger) -> Address:
    """The latest request that has no answer, for who answers it by hand. Raises UsageError if all are answered."""
    waiting = [found.address for found in batch.waiting(ledger) if not _is_anothers(found)]
    if not waiting:
        raise UsageError("no request waits for an answer", hint="git relay log", code=Code.UNKNOWN_EXCHANGE)
    return waiting[0]


def _is_anothers(found: Exchange) -> bool:
    """Whether a worker of a remote, or gitrelay itself with the report of a replay, is to answer it."""
    is_plan = found.to == names.REPLAY and found.address.session.startswith(f"{names.REPLAY}-")
    return is_plan or Trailer.JOB in found.request.trailers
