"""A running call on a terminal: the peer's events as they come, with the time passed and what is left of the limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from gitrelay.calls.peerlog import Follower
from gitrelay.cli.output import say
from gitrelay.ground.duration import render
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.names import Address

_NEWS: Final = 2.0  # seconds that a call runs for in which all that it has printed is news


def watching(ledger: Ledger, addresses: Sequence[Address], tell: Callable[[str], None] = say) -> Callable[[], None]:
    """A function that tells what the peers have done since it was last called, one line an event.

    The first time that is what they have done since they began: `earlier`, because the logs hold no times.
    """
    first = True
    followed = [(e, Follower(ledger, e.address, e.to)) for e in (exchanges.exchange(ledger, a) for a in addresses)]

    def look() -> None:
        nonlocal first
        for exchange, follower in followed:
            for line in follower.lines():
                who = f"{exchange.to} " if len(followed) > 1 else ""
                tell(f"{stamp(ledger, exchange, backlog=first)} {who}{line}")
        first = False

    return look


def stamp(ledger: Ledger, exchange: Exchange, *, backlog: bool = False) -> str:
    """`[12s, 59m left]` of a call that runs, `[12s]` of one without a limit, `[ended]` at its end.

    `[earlier]` if the line is `backlog` of a call that has run for a while: when it was printed is not known.
    """
    call = ledger.state.call(exchange.address.session).load()
    if call is None or call.id != exchange.address.id:
        return "[ended]"
    passed = time.time() - call.started
    if backlog and passed > _NEWS:
        return "[earlier]"
    left = f", {render(max(0.0, call.limits.wall - passed))} left" if call.limits.wall else ""
    return f"[{render(passed)}{left}]"
