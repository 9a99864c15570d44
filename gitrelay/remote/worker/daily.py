"""What the jobs of this clone's worker have used today, kept in `.git/relay/worker.json`: no restart forgets it.

What a call used is read from the record once it has ended; one that still runs counts with what it has noted so far.
A job counts for the day on which it was begun, and a job that was lost to another worker counts too: it was paid here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gitrelay.calls import budget
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import usage
from gitrelay.protocol.budget import UNITS, Amount, shown
from gitrelay.protocol.names import Address
from gitrelay.remote.queue.jobs import Job
from gitrelay.state.files import cannot_write, write_whole

_VERSION: Final = 1
_FILE: Final = "worker.json"
_DIGITS: Final = 6  # behind the point, as many as a budget has in words
_LOCK: Final = ".worker"
_LOCK_LIMIT: Final = 10.0  # seconds; it is held for a few file operations


@dataclass(frozen=True)
class Begun:
    """A job whose peer was started today. `used` is None until the call has ended."""

    job: str
    address: str
    used: Amount | None = None


class Day:
    """What may be used in a local day, and what was. Workers of the same clone share it."""

    def __init__(self, ledger: Ledger, cap: Amount) -> None:
        self.ledger = ledger
        self.cap = cap

    def begin(self, job: Job, address: Address) -> None:
        """Note that the peer is started now. Raises Busy and CannotRecord: uncounted money is not spent."""
        with self._locked():
            self._write([*self._read(), Begun(job.id, str(address))])

    def settle(self) -> None:
        """Note what the calls used that have ended since; it has to be done before a session's branch is moved."""
        with self._locked():
            begun = self._read()
            if all(one.used is not None for one in begun):
                return
            running = {one.address for one in budget.running(self.ledger)}
            spent = self._spent()
            found = []
            for one in begun:
                if one.used is None and one.address not in running and one.address in spent:
                    one = replace(one, used=spent[one.address])
                found.append(one)
            self._write(found)

    def used(self) -> Amount:
        """What today's jobs have used so far; None of a unit that no peer tells."""
        begun = self._read()
        open_ = any(one.used is None for one in begun)
        spent = self._spent() if open_ else {}
        its = [used for one in begun if (used := one.used or spent.get(one.address)) is not None]
        return Amount(*(budget.total(its, unit) for unit in UNITS))

    def left(self, least: Decimal = Decimal(0)) -> Amount:
        """What may still be used today, `least` at least; None of a unit without a limit."""
        used = self.used()
        return Amount(*(_less(self.cap.of(unit), used.of(unit), least) for unit in UNITS))

    def over(self) -> str:
        """Why no more jobs are taken today and until when, '' if they are."""
        if self.cap.is_empty:
            return ""
        used = self.used()
        for unit in UNITS:
            cap, its = self.cap.of(unit), used.of(unit)
            if cap is not None and its is not None and its >= cap:
                return f"{shown(unit, its)} of today's {shown(unit, cap)} are used: no job is taken until {until()}"
        return ""

    def _spent(self) -> dict[str, Amount]:
        return {one.address: one.used for one in budget.spent(self.ledger, budget.midnight())}

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self.ledger.state.lock(_LOCK) as lock:
            lock.acquire(_LOCK_LIMIT, what="the worker's account of the day")
            yield

    def _read(self) -> list[Begun]:
        """The jobs that were begun today; a file that cannot be read, or of another day, has none."""
        try:
            value = json.loads((self.ledger.state.root / _FILE).read_bytes())
            if value["version"] != _VERSION or value["day"] != _today():
                return []
            return [Begun(str(row["job"]), str(row["address"]), _amount(row["used"])) for row in value["jobs"]]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def _write(self, begun: list[Begun]) -> None:
        rows = [{"job": one.job, "address": one.address, "used": _words(one.used)} for one in begun]
        value = {"version": _VERSION, "day": _today(), "jobs": rows}
        path = self.ledger.state.root / _FILE
        try:
            write_whole(path, json.dumps(value).encode())
        except OSError as e:
            raise cannot_write(path, e) from e


def _less(cap: Decimal | None, used: Decimal | None, least: Decimal) -> Decimal | None:
    return None if cap is None else max(round(cap - (used or 0), _DIGITS), least)


def until() -> str:
    """When the next local day begins, in words."""
    return f"{datetime.now() + timedelta(days=1):%Y-%m-%d} 00:00"


def _today() -> str:
    return f"{datetime.now():%Y-%m-%d}"


def _words(used: Amount | None) -> dict[str, str] | None:
    return None if used is None else {unit: str(value) for unit in UNITS if (value := used.of(unit)) is not None}


def _amount(value: Any) -> Amount | None:
    return None if value is None else Amount(*(usage.amount(str(value.get(unit, ""))) for unit in UNITS))


def seconds_left() -> float:
    """Until the next local day begins."""
    now = datetime.now()
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(0.0, (tomorrow - now).total_seconds())
