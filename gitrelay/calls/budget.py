"""Budgets that hold: the caps of a call, what was used under each, and the end of the peer when one is used up.

What was used is read from the record and from what running calls have noted, under one lock, so that all processes of a
repository, and all calls made inside a call, draw on the same caps. A cap may be passed by one model call of each peer
that runs: what a model call uses is known when it is over.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from gitrelay.calls.within import Within
from gitrelay.errors import Code, Reason, RelayError, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers.base import Capabilities, Reader
from gitrelay.protocol import budget, names, usage
from gitrelay.protocol.budget import CALL, DAY, SCOPES, SESSION, TIME, UNITS, Amount, Held
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import ARCHIVE, BRANCHES, Trailer, name_of, parse
from gitrelay.state.calls import Call, CallFolder
from gitrelay.state.files import write_whole

_LOCK: Final = ".budget"
_LOCK_LIMIT: Final = 2.0  # seconds; a look takes some hundredths, and without the lock it sees nearly as much
_PAUSE: Final = 0.5  # seconds between two looks at what other calls have used
_NOTE: Final = "spent.json"  # in the folder of a running call


def caps(repo: Repository, peer: str, given: Sequence[str]) -> tuple[tuple[str, str, Amount], ...]:
    """The budgets that hold a call to `peer`: `--budget`, else `relay.<peer>.budget.call` or `relay.budget.call`; those
    of its session and of the day, of all peers and of this one. Raises UsageError that quotes the word and its source.
    """
    found: list[tuple[str, str, Amount]] = []
    if given:
        found.append((CALL, "", budget.parse(given, "--budget")))
    for scope in SCOPES:
        if scope == CALL and given:
            continue
        for of in ("", peer):
            key = f"relay.{of}.budget.{scope}" if of else f"relay.budget.{scope}"
            values = [(word, where) for value, where in repo.config.get(key, []) for word in value.split()]
            if values:
                cap = budget.parse([word for word, _ in values], f"{key} in {values[-1][1]}")
                if scope == CALL:  # the peer's own is the nearer one
                    found = [one for one in found if one[0] != CALL]
                    of = ""
                found.append((scope, of, cap))
    return tuple(found)


def held(ledger: Ledger, caps_: tuple[tuple[str, str, Amount], ...], outer: Within | None) -> Held:
    """What holds a request that is made inside `outer`: its caps, and the chain of calls that may have a budget."""
    if outer is None or not outer.address:
        return Held(caps_)
    within: tuple[str, ...] = ()
    with contextlib.suppress(RelayError):
        above = exchanges.exchange(ledger, names.parse_address(outer.address))
        upper = Held.from_trailer(above.request.trailers.get(Trailer.BUDGET, ""))
        if upper.within or upper.cap(CALL) is not None:
            within = (*upper.within, outer.address)
    return Held(caps_, within)


def unmeasured(held_: Held, able: Capabilities, price: Amount | None) -> list[str]:
    """The units of the caps that a peer's program tells nothing of; only time holds it then."""
    known = {*able.reports, *able.measures, TIME}
    if price is not None and "tok" in known:
        known.add("usd")
    capped = {unit for _, _, cap in held_.caps for unit in UNITS if cap.of(unit) is not None}
    return sorted(capped - known)


def price(repo: Repository, model: str | None) -> Amount | None:
    """`relay.price.<model>`: dollars for a million tokens, `INPUT OUTPUT [CACHED]`. Raises UsageError."""
    values = repo.config.get(f"relay.price.{model}") if model else None
    if not values:
        return None
    text, where = values[-1]
    try:
        numbers = [Decimal(word) for word in text.split()]
    except InvalidOperation:
        numbers = []
    if len(numbers) not in (2, 3) or not all(n.is_finite() and n >= 0 for n in numbers):
        raise UsageError(
            f"relay.price.{model} {quote(text)} in {where} is not a price",
            hint="dollars for a million tokens: INPUT OUTPUT [CACHED], as '1.25 10 0.125'",
            code=Code.BAD_CONFIG,
        )
    return Amount(numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else None)


@dataclass(frozen=True)
class Spent:
    """What one call used, as recorded, or so far. `time` is when it was asked, seconds since the epoch."""

    address: str
    to: str
    within: tuple[str, ...]
    time: int
    used: Amount


def recorded(ledger: Ledger, since: float) -> dict[str, Spent]:
    """address -> what each call used that was asked or answered since then, seconds since the epoch."""
    globs = (f"--glob={BRANCHES}*", f"--glob={ARCHIVE}*")
    format_ = "%x01%H%x00%ct%x00%S%x00%B"
    out = ledger.repo.run(
        "log", "--reverse", *([f"--since={int(since)}"] if since else []), f"--format={format_}", *globs, "--"
    )
    asked: dict[str, tuple[int, Held]] = {}
    found: dict[str, Spent] = {}
    for row in out.decode("utf-8", "replace").split("\x01")[1:]:
        oid, seconds, ref, text = row.split("\0", 3)
        commit, session = parse(oid, seconds, text.rstrip("\n") + "\n"), name_of(ref)
        if commit.id is None or not names.is_session(session) or not names.is_id(commit.id):
            continue
        address = str(Address(session, commit.id))
        if commit.kind == "req":
            asked[address] = (commit.time, Held.from_trailer(commit.trailers.get(Trailer.BUDGET, "")))
        elif commit.kind == "res" and address not in found:
            when, above = asked.get(address, (commit.time, Held()))
            figures = usage.parse(commit.usage or "")
            its_price = None
            with contextlib.suppress(UsageError):
                its_price = price(ledger.repo, commit.model)
            its = budget.used(figures, usage.amount(commit.duration), its_price)
            found[address] = Spent(address, commit.from_ or "", above.within, when, its)
    return found


def running(ledger: Ledger) -> Iterator[Spent]:
    """What each running call has noted so far."""
    for folder in ledger.state.calls():
        call = folder.load()
        if call is None:
            continue
        noted: Mapping[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            value = json.loads((folder.path / _NOTE).read_bytes())
            noted = value if isinstance(value, dict) else {}
        figures = {name: n for name, text in noted.items() if (n := usage.amount(str(text))) is not None}
        its_price = None
        with contextlib.suppress(UsageError):
            its_price = price(ledger.repo, call.model)
        its = budget.used(figures, seconds_since(call.started), its_price)
        yield Spent(str(call.address), call.to, call.within, int(call.started), its)


def spent(ledger: Ledger, since: float) -> list[Spent]:
    """Recorded and running calls, each once. The running ones are read first, so that none is missed in between."""
    now = {one.address: one for one in running(ledger)}
    return list({**now, **recorded(ledger, since)}.values())


class Past:
    """What is recorded since a time, seconds since the epoch; it is read again only if a branch has changed."""

    def __init__(self, ledger: Ledger, since: float) -> None:
        self._ledger, self._since = ledger, since
        self._refs: list[list[str]] = []
        self._known: dict[str, Spent] = {}

    def read(self) -> dict[str, Spent]:
        """address -> what each call used. Raises GitError."""
        refs = self._ledger.repo.each_ref("%(refname)%00%(objectname)", BRANCHES, ARCHIVE)
        if refs != self._refs:
            self._known = recorded(self._ledger, self._since)
            self._refs = refs
        return self._known


@dataclass(frozen=True)
class Cap:
    """One budget and the calls that it is for. `of` is the call or session; `since` seconds since the epoch."""

    scope: str
    of: str
    peer: str
    budget: Amount
    since: float

    def holds(self, one: Spent) -> bool:
        if self.peer and one.to != self.peer:
            return False
        if self.scope == CALL:
            return one.address == self.of or self.of in one.within
        if self.scope == SESSION:
            return one.address.partition("/")[0] == self.of
        return one.time >= self.since

    @property
    def name(self) -> str:
        whom = f" for {self.peer}" if self.peer else ""
        return {CALL: f"call {self.of}", SESSION: f"session {self.of}", DAY: "the day"}[self.scope] + whom


def sums(cap: Cap, every: Sequence[Spent]) -> Amount:
    """What was used under a cap. The time of a call is that since it was asked, whatever ran inside it."""
    its = [one.used for one in every if cap.holds(one)]
    seconds = seconds_since(cap.since) if cap.scope == CALL else total(its, TIME)
    return Amount(total(its, "usd"), total(its, "tok"), seconds)


def total(its: Sequence[Amount], unit: str) -> Decimal | None:
    """What all of them used; None if none of them tells."""
    known = [value for one in its if (value := one.of(unit)) is not None]
    return sum(known, Decimal(0)) if known else None


def seconds_since(moment: float) -> Decimal:
    """Seconds from `moment`, seconds since the epoch, to now; 0 for one to come."""
    return Decimal(str(round(max(0.0, time.time() - moment), 1)))


def of_call(ledger: Ledger, call: Call) -> list[Cap]:
    """Every cap that holds a running call: its own, and those of the calls that it was made in."""
    today = midnight()
    found = []
    for scope, peer, cap in Held.from_trailer(call.budget).caps:
        since = {CALL: call.started, SESSION: 0.0, DAY: today}[scope]
        found.append(Cap(scope, {CALL: str(call.address), SESSION: call.session}.get(scope, ""), peer, cap, since))
    for address in call.within:
        with contextlib.suppress(RelayError):
            above = exchanges.exchange(ledger, names.parse_address(address)).request
            own = Held.from_trailer(above.trailers.get(Trailer.BUDGET, "")).cap(CALL)
            if own is not None:
                found.append(Cap(CALL, address, "", own, float(above.time)))
    return found


class Meter:
    """A reader of a peer's output that ends the peer when a budget is used up; as a `process.child.Listener`.

    The peer's reader does the reading: this counts, notes what was used for other calls, and looks at the caps.
    """

    def __init__(
        self, ledger: Ledger, folder: CallFolder, call: Call, reader: Reader, before: Mapping[str, str]
    ) -> None:
        self._ledger, self._folder, self._call, self._reader = ledger, folder, call, reader
        self._caps = of_call(ledger, call)
        self._past = Past(ledger, _since(self._caps))
        self._before = before
        self._over: tuple[str, str] | None = None
        self._seen: Mapping[str, str] = {}
        self._next = time.monotonic() + _PAUSE

    @property
    def finished(self) -> bool:
        return self._reader.finished

    @property
    def fatal(self) -> tuple[str, str] | None:
        """What ends the peer; asked again and again while it runs, so that time is looked at too."""
        if self._caps and self._over is None and not self._reader.finished and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self._look()
        return self._over or self._reader.fatal

    def feed(self, data: bytes) -> bool:
        progress = self._reader.feed(data)
        now = getattr(self._reader, "spent", {})
        if self._caps and now != self._seen and self._over is None:
            self._seen = dict(now)
            self._look()
        return progress

    def _look(self) -> None:
        why = exceeded(self._ledger, self._folder, self._call, self._caps, self._seen, self._before, self._past)
        if why:
            self._over = (Reason.BUDGET, why)


def exceeded(
    ledger: Ledger,
    folder: CallFolder,
    call: Call,
    caps_: Sequence[Cap],
    figures: Mapping[str, str],
    before: Mapping[str, str],
    past: Past | None = None,
) -> str:
    """Note what `call` has used (less what its conversation had used `before`); which cap is used up, '' if none is."""
    if not caps_:
        return ""
    own = {}
    for name, text in figures.items():
        number, earlier = usage.amount(text), usage.amount(before.get(name))
        if number is not None:
            own[name] = str(number - earlier if earlier is not None and number >= earlier else number)
    every = _noted(ledger, folder, own, past or Past(ledger, _since(caps_)))
    return next((said for cap in caps_ if (said := _over(cap, sums(cap, every), every))), "")


def _noted(ledger: Ledger, folder: CallFolder, own: Mapping[str, str], past: Past) -> list[Spent]:
    """Write down what a call has used, and read what all have, under one lock.

    A lock that cannot be had, or a record that cannot be read, is no leave to go on: what can be seen counts.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(RelayError, OSError):
            lock = stack.enter_context(ledger.state.lock(_LOCK))
            lock.acquire(_LOCK_LIMIT, what="the budget")
        with contextlib.suppress(RelayError, OSError):
            write_whole(folder.path / _NOTE, json.dumps(own).encode())
        now = {one.address: one for one in running(ledger)}
        before: Mapping[str, Spent] = {}
        with contextlib.suppress(RelayError, OSError):
            before = past.read()
    return list({**now, **before}.values())


def _since(caps_: Sequence[Cap]) -> float:
    """Since when calls count for one of the caps, seconds since the epoch."""
    return min((cap.since for cap in caps_), default=0.0)


def _over(cap: Cap, its: Amount, every: Sequence[Spent]) -> str:
    """Which limit of a cap is used up, since when and by whom; '' if none is."""
    for unit in UNITS:
        most, now = cap.budget.of(unit), its.of(unit)
        if most is None or now is None or now < most:
            continue
        most_used = sorted(
            (one for one in every if cap.holds(one)), key=lambda one: one.used.of(unit) or 0, reverse=True
        )
        who = ", ".join(f"{o.address} {budget.shown(unit, v)}" for o in most_used[:3] if (v := o.used.of(unit)))
        since = datetime.fromtimestamp(cap.since).strftime("%Y-%m-%d %H:%M") if cap.since else "its first turn"
        by = f"; used by {who}" if who else ""
        return (
            f"the budget of {cap.name} is used up: {budget.shown(unit, now)} of {budget.shown(unit, most)} "
            f"since {since}{by}"
        )
    return ""


def left_usd(ledger: Ledger, caps_: Sequence[Cap]) -> str | None:
    """The fewest dollars that a cap leaves, for a program that ends itself at them; None without such a cap."""
    capped = [cap for cap in caps_ if cap.budget.usd is not None]
    if not capped:
        return None
    every = spent(ledger, min(cap.since for cap in capped))
    left = min((cap.budget.usd or Decimal(0)) - (sums(cap, every).usd or Decimal(0)) for cap in capped)
    return f"{max(left, Decimal('0.000001')):f}"


@dataclass(frozen=True)
class Left:
    """A cap, what was used under it, and by whom: addresses, who used the most first."""

    cap: Cap
    used: Amount
    by: tuple[str, ...]


def report(ledger: Ledger) -> list[Left]:
    """Every cap that holds now: those of the day, and those of the calls that run."""
    today = midnight()
    config = {key: values for key, values in ledger.repo.config.items() if ".budget." in f".{key}"}
    caps_: list[Cap] = []
    for key, values in sorted(config.items()):
        of, _, scope = key.removeprefix("relay.").rpartition("budget.")
        if scope == DAY:
            words = [word for value, _ in values for word in value.split()]
            caps_.append(Cap(DAY, "", of.rstrip("."), budget.parse(words, key), today))
    runs = [call for folder in ledger.state.calls() if (call := folder.load()) is not None]
    for call in runs:
        caps_ += [cap for cap in of_call(ledger, call) if cap.scope != DAY and cap not in caps_]
    every = spent(ledger, min((cap.since for cap in caps_), default=today))
    found = []
    for cap in caps_:
        its = sorted((one for one in every if cap.holds(one)), key=lambda one: -(one.used.tok or one.used.time or 0))
        found.append(Left(cap, sums(cap, every), tuple(one.address for one in its[:5])))
    return found


def midnight() -> float:
    """When the local day began, seconds since the epoch."""
    return datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
