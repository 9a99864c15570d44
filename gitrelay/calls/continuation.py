"""Native continuation: which conversation of the peer's own the next turn of a session resumes. Pure.

A peer that is asked again in a session has its own record of what was said; resuming it by its id costs no
reading. If there is none, or it is gone, the request's Context line makes the peer read the turns from
files. The record says which of the two happened, in the trailer `Relay-Continuation: native | files`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.history.exchange import Exchange
from gitrelay.peers.base import Capabilities
from gitrelay.protocol import usage as amounts

# it came from a peer's output, and goes into another command line
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,127}")
# after these the conversation itself may be what is broken; the next turn begins afresh
_SUSPECT: Final = frozenset({"bad-output", "peer-failed", "no-output"})


@dataclass(frozen=True)
class Conversation:
    """What a turn continues. `unseen` are the ids of turns that the peer's conversation does not know.

    `spent` is what earlier turns of the same conversation were recorded to have used.
    """

    id: str
    unseen: tuple[str, ...] = ()
    spent: Mapping[str, Decimal] = field(default_factory=dict)


def find(exchanges: Sequence[Exchange], peer: str, turn: str, able: Capabilities) -> Conversation | None:
    """The conversation that turn `turn` of a session to `peer` resumes, None if it begins one."""
    if not able.resumes:
        return None
    before = [e for e in exchanges if e.address.id != turn]
    unseen: list[str] = []
    for last in reversed(before):
        if last.to == peer and last.response is not None:
            break
        unseen.append(last.address.id)
    else:
        return None
    assert last.response is not None
    id_ = last.response.peer_session or ""
    if not is_id(id_) or (last.recorded == "gitrelay" and last.reason in _SUSPECT):
        return None
    spent: dict[str, Decimal] = {}
    for e in before:
        if e.to == peer and e.response is not None and e.response.peer_session == id_:
            for name, used in amounts.parse(e.response.usage or "").items():
                spent[name] = spent.get(name, Decimal(0)) + used
    return Conversation(id_, tuple(reversed(unseen)), spent)


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a conversation: it goes into a command line."""
    return _ID.fullmatch(text) is not None


def of_this_turn(usage: Mapping[str, str], spent: Mapping[str, Decimal], able: Capabilities) -> dict[str, str]:
    """Usage as the peer reported it -> this turn's own.

    Measured: codex reports the whole thread's tokens on resume, claude the whole session's cost but
    this run's tokens. A figure below what was spent before cannot be cumulative and is taken as it is.
    """
    own = {}
    for name, value in usage.items():
        number = Decimal(value)
        before = spent.get(name, Decimal(0)) if name in able.cumulative else Decimal(0)
        own[name] = str(number - before) if number >= before else value
    return own
