"""How each session here stands to what a remote has of it, and to what the remote had shown before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.remote.known import Known
from gitrelay.remote.share.wire import There

IsAncestor = Callable[[str, str], bool]


class State(StrEnum):
    """A session here, seen against the remote's."""

    NEW = "new"  # the remote has never shown it
    AHEAD = "ahead"  # here is more
    SAME = "same"
    BEHIND = "behind"  # there is more, or it is not here at all
    DIVERGED = "diverged"  # it went on in both places
    MOVED_BACK = "moved-back"  # the remote has less than it had shown
    REWRITTEN = "rewritten"  # the remote has another history than it had shown
    GONE = "gone"  # the remote had it, and has it no more


LOST: Final = (State.MOVED_BACK, State.REWRITTEN, State.GONE)


@dataclass(frozen=True)
class Compared:
    """One session: `here` and `there` are commits, None for none; `shown` is what the remote had shown.

    `archived_there`: the remote has it as an archived ref.
    """

    session: str
    state: State
    here: str | None
    there: str | None
    shown: str | None
    archived_there: bool = False


def compared(
    sessions: Iterable[str], here: dict[str, str], there: There, known: Known, is_ancestor: IsAncestor
) -> list[Compared]:
    """Each of `sessions`, sorted; `here` are the tips of those that are in this repository."""
    found = []
    for session in sorted(set(sessions)):
        tip, archived = _tip(there.heads(session), is_ancestor)
        shown = known.heads.get(session)
        state = _state(here.get(session), tip, shown, is_ancestor)
        found.append(Compared(session, state, here.get(session), tip, shown, archived))
    return found


def _tip(heads: Sequence[tuple[str, bool]], is_ancestor: IsAncestor) -> tuple[str | None, bool]:
    """(the newest one of a remote's branch, archived ref and list of finished sessions, whether it is archived).

    A branch need not go if its session is archived, so it may be as old as the archived ref, or older.
    """
    newest: tuple[str | None, bool] = (None, False)
    for tip, archived in heads:
        if newest[0] is None or is_ancestor(newest[0], tip):
            newest = (tip, archived)
    return newest


def _state(here: str | None, there: str | None, shown: str | None, is_ancestor: IsAncestor) -> State:
    if there is None:
        return State.NEW if shown is None else State.GONE
    if shown is not None and shown != there and not is_ancestor(shown, there):
        return State.MOVED_BACK if is_ancestor(there, shown) else State.REWRITTEN
    if here is None:
        return State.BEHIND
    if here == there:
        return State.SAME
    if is_ancestor(there, here):
        return State.AHEAD
    return State.BEHIND if is_ancestor(here, there) else State.DIVERGED
