"""The verdict of the gate goes along with what it let go: `relay.gateShare`."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelay.errors import RelayError
from gitrelay.ledger.ledger import Ledger
from gitrelay.remote import address
from gitrelay.remote.share import plan, push


def share(ledger: Ledger, remote: str, sessions: Sequence[str]) -> list[str]:
    """Send these sessions, without the files of their calls, to the remote of that name.

    The setting is a person's yes to publish them, so nothing is asked. A push is never stopped for what goes wrong
    here: nothing is raised, and the lines that are returned say what stays here and why.
    """
    try:
        there = address.remote(ledger.repo, remote)
        here = plan.local(ledger, tuple(dict.fromkeys(sessions)))
        made = plan.weighed(ledger, plan.plan(ledger, there, here, code=False))
        if made.leaks:
            found = made.leaks[0]
            return [f"the verdict stays here: {found.address} has a secret ({found.rule}); git relay scan"]
        sent = push.push(ledger, made, here)
    except RelayError as e:
        return [f"the verdict stays here: {e.message}"]
    return [f"the verdict stays here: {s.fault.message}; {s.fault.hint}" for s in sent if s.fault is not None]
