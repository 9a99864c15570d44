"""A group: one request that several attempts answer, each an ordinary exchange in a session of its own.

The group is a session too: its request is to `gitrelay`, which answers when all attempts have ended. What is wanted of
it is kept in `groups/NAME` on this machine, so that the next command goes on with it and pays nobody twice.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from typing import Any, Final

from gitrelay.calls import isolation, plan, settings
from gitrelay.calls.order import Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Busy, Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger import snapshot
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.session import locked
from gitrelay.peers import registry
from gitrelay.protocol import names
from gitrelay.protocol.message import Request
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BRANCHES, Trailer
from gitrelay.protocol.words import Access
from gitrelay.state.files import make_folder, write_whole

PEER: Final = "gitrelay"  # answers a group's request
MOST: Final = 64  # attempts of one group
_VERSION: Final = 1
_PICKS: Final = ("check", "smallest", "first")


@dataclass(frozen=True)
class Wish:
    """What is wanted of a group, besides the order: `attempts` of each peer, and how it ends.

    `pick` is check, smallest, first or judge:PEER. `first`: the others are cancelled once one has passed. `quorum`: so
    many answers are enough. `judge` writes one answer out of all.
    """

    attempts: int = 1
    pick: str | None = None
    first: bool = False
    quorum: int | None = None
    judge: str | None = None

    def __bool__(self) -> bool:
        return self != Wish()

    def check(self, repo: Repository, peers: int) -> None:
        """Raises UsageError that quotes what is wrong."""
        if not 1 <= self.attempts * peers <= MOST:
            raise UsageError(f"--attempts {self.attempts} with {peers} peers", hint=f"at most {MOST} in all")
        if self.quorum is not None and not 1 <= self.quorum <= self.attempts * peers:
            raise UsageError(
                f"--quorum {self.quorum} is not between 1 and {self.attempts * peers}",
                hint="it is how many answers are enough",
            )
        by = (self.pick or "").removeprefix("judge:") if (self.pick or "").startswith("judge:") else None
        if self.pick is not None and by is None and self.pick not in _PICKS:
            raise UsageError(f"--pick {quote(self.pick)}", hint=f"it is {', '.join(_PICKS)} or judge:PEER")
        for peer in (by, self.judge):
            if peer is not None:
                settings.for_call(repo, registry.find(repo, peer), Given(access=Access.READ))


@dataclass(frozen=True)
class Group:
    """A group that was asked. `order` is what each attempt is asked, without its peer's session.

    `on` is the remote whose workers are the ones to answer, '' for peers of this machine.
    """

    name: str
    order: Order
    wish: Wish
    on: str = ""

    @property
    def address(self) -> Address:
        return Address(self.name, names.turn_id(1))

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """(peer, session) of each attempt, in order."""
        several = self.wish.attempts > 1
        return [
            (peer, f"{self.name}-{peer}" + (f"-{number}" if several else ""))
            for peer in self.order.to
            for number in range(1, self.wish.attempts + 1)
        ]


def parallel(repo: Repository) -> int:
    """`relay.parallel`: how many attempts run at a time; the number of cores by default. Raises UsageError."""
    text = repo.setting("relay.parallel")
    if text is None:
        return os.cpu_count() or 1
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text):
        raise UsageError(f"relay.parallel {quote(text)} is not a number", hint="as 4", code=Code.BAD_CONFIG)
    return int(text)


def begin(ledger: Ledger, order: Order, wish: Wish, on: str = "") -> Group:
    """Record a group's request, or find the one that holds its key. Raises UsageError, Busy; nothing is started."""
    wish.check(ledger.repo, len(order.to))
    parallel(ledger.repo)
    plans = plan.make(ledger.repo, replace(order, invoke=not on))  # every word is checked before anything is recorded
    if order.given.isolate is False and wish.attempts > 1 and any(one.chosen.access != Access.READ for one in plans):
        raise isolation.cannot_share()
    redact = ledger.redactor.redact
    task = redact(order.task).text
    name = names.check_session(order.session or order.name or names.name_of_task(task), "--name")
    group = Group(name, replace(order, task=task, session=None, name=None, key=None), wish, on)
    for _, session in group.attempts:
        names.check_session(session, "--name")
    if order.key is not None:
        held = exchanges.by_key(ledger, order.key)
        if held is not None:
            return _same(ledger, held, group, order.key)
    _record(ledger, group, order)
    return group


def _same(ledger: Ledger, held: Exchange, group: Group, key: str) -> Group:
    """The group that holds the key, if it is this one."""
    found = load(ledger, held.address.session)
    asked = found.order.task if found is not None else group.order.task
    if held.to != PEER or held.address.session != group.name or asked != group.order.task:
        raise UsageError(
            f"key {quote(key)} belongs to {held.address}, another request",
            hint=f"git relay show {held.address}, or use a key of its own for this request",
            code=Code.BAD_KEY,
        )
    return found or group


def _record(ledger: Ledger, group: Group, order: Order) -> None:
    from gitrelay.calls import inflight

    from_ = settings.caller(ledger.repo, order.from_)
    with locked(ledger, group.name) as held:
        if held.tip() is not None or ledger.tip(group.name, archived=True) is not None:
            raise Busy(
                f"there is a session {group.name} already",
                hint=f"git relay wait {group.name} goes on with a group; or give this one a --name of its own",
            )
        root = held.open(from_, ledger.repo.ref("HEAD") or "unborn")
        if root is None:
            raise Busy(f"session {group.name} was opened by another process just now", hint="try again")
        request = Request(names.turn_id(1), from_, PEER, group.order.task, group.name)
        trailers = {
            Trailer.ACCESS: order.given.access or Access.WRITE,
            Trailer.KEY: order.key or "",
        }
        try:
            _save(ledger, group)
            held.append_request(root, request, trailers, files=snapshot.take(ledger.repo, group.name))
        except BaseException:
            held.abandon(root)
            raise
    inflight.note_for_a_person(ledger, group.address)


def _save(ledger: Ledger, group: Group) -> None:
    path = ledger.state.root / "groups" / group.name
    make_folder(path.parent)
    value = {"version": _VERSION, "name": group.name, "order": asdict(group.order), "wish": asdict(group.wish)}
    value["on"] = group.on
    write_whole(path, json.dumps(value).encode())


def load(ledger: Ledger, name: str) -> Group | None:
    """What this machine knows of a group, None if it knows nothing."""
    try:
        value = json.loads((ledger.state.root / "groups" / name).read_bytes())
        if value["version"] != _VERSION or value["name"] != name:
            return None
        order = _tuples(value["order"])
        asked = Order(**{**order, "given": Given(**_tuples(order["given"]))})
        return Group(name, asked, Wish(**value["wish"]), str(value.get("on", "")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}


def is_group(found: Exchange) -> bool:
    """Whether an exchange is the request of a group."""
    return found.to == PEER and found.address.id == names.turn_id(1)


def members(ledger: Ledger, name: str) -> list[Address]:
    """The attempts of a group, those that were asked. Raises UsageError if there is no such group."""
    found = next(iter(exchanges.exchanges(ledger, name)), None)
    if found is None or not is_group(found):
        raise UsageError(
            f"{quote(name)} is not a group of attempts",
            hint="git relay req --attempts N --name NAME ... makes one",
            code=Code.UNKNOWN_SESSION,
        )
    said = (found.response.trailers.get(Trailer.ATTEMPTS, "") if found.response else "").split()
    if said:
        return [names.parse_address(word) for word in said if names.is_address(word)]
    group = load(ledger, name)
    there = [Address(session, names.turn_id(1)) for _, session in group.attempts] if group is not None else []
    tips = ledger.tips([BRANCHES + one.session for one in there])
    return [one for one, tip in zip(there, tips, strict=True) if tip is not None and tip.ids]


def picked(ledger: Ledger, name: str) -> Address | None:
    """The attempt that was picked, None if none was."""
    found = exchanges.exchange(ledger, Address(name, names.turn_id(1)))
    word = (found.response.trailers.get(Trailer.PICKED, "") if found.response else "").split(" ")[0]
    return names.parse_address(word) if names.is_address(word) else None
