"""What a worker would offer, and what is wrong with it, before it takes a job: `git relay worker --check`."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Final

from gitrelay.calls import budget
from gitrelay.errors import RelayError
from gitrelay.ground.text import plain, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import probe, registry
from gitrelay.protocol.budget import DAY, Held
from gitrelay.protocol.words import Access
from gitrelay.remote.queue import abilities, dispatch, trust
from gitrelay.remote.queue.wire import Wire, url_of
from gitrelay.remote.worker import running
from gitrelay.remote.worker.daily import Day
from gitrelay.remote.worker.settings import Offer

_SHOWN: Final = 20  # names of signers
_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True)
class Report:
    """`offer` as JSON has it, what is wrong (then no worker starts, or it takes nothing), and what to know of it."""

    offer: dict[str, Any]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def report(ledger: Ledger, offer: Offer, limits: dict[str, Any]) -> Report:
    """Look at everything that a worker needs; the remote is asked. `limits` are the caller's own."""
    problems = running.missing(ledger.repo, offer.peers)
    queue = _queue(ledger, offer, problems)
    warnings = list(warned(offer))
    peers = [_peer(ledger, name, problems, warnings) for name in offer.peers]
    names = _signers(offer, problems)
    repository = ""
    try:
        repository = trust.repository_id(ledger.repo)
    except RelayError as e:
        problems.append(e.message)
    day = Day(ledger, offer.budget)
    used = day.used()
    over = day.over()
    if over:
        problems.append(over)
    for name in offer.peers:
        warnings += _unmeasured(ledger, offer, name)
    said = {
        **described(offer),
        **queue,
        "repository": repository,
        "peers": peers,
        "signed_by": names,
        "used_today": used.words(),
        "left_today": day.left().words(),
        **limits,
        "problems": problems,
        "warnings": warnings,
    }
    return Report(said, tuple(problems), tuple(warnings))


def described(offer: Offer) -> dict[str, Any]:
    """An offer as JSON has it."""
    return {
        "remote": offer.remote,
        "peers": list(offer.peers),
        "access": [str(one) for one in offer.access],
        "signers": None if offer.signers is None else str(offer.signers),
        "revoked": None if offer.revoked is None else str(offer.revoked),
        "budget_day": offer.budget.words(),
        "idle": offer.idle,
        "lease": offer.lease,
        "poll": offer.poll,
        "checks": offer.checks,
    }


def warned(offer: Offer) -> list[str]:
    """What a person should know who starts such a worker."""
    found = []
    if offer.signers is None:
        found.append("everybody who can push to this remote can have these peers work on this machine")
    if offer.checks:
        found.append("checks: commands that a request names are run as you, without any sandbox")
    if Access.FULL in offer.access:
        found.append("full access: a peer that is asked so works without any sandbox, as you")
    return found


def _queue(ledger: Ledger, offer: Offer, problems: list[str]) -> dict[str, Any]:
    """The engine, its lease and how many jobs there are, as it says them itself; what is wrong is added."""
    said: dict[str, Any] = {"engine": None, "lease": offer.lease, "waiting": None}
    try:
        wire = Wire(ledger.repo, url_of(ledger.repo, offer.remote))
        with contextlib.closing(wire):
            abilities.require(ledger.state, wire)
            queue = dispatch.engine(ledger.repo, offer.remote, wire, lease=offer.lease)
            with contextlib.closing(queue):
                found = dispatch.setting(ledger.repo, offer.remote)
                said |= {"engine": "git" if found is None else found[0].partition(":")[0], "lease": queue.lease}
                # what was found out about the remote a week ago says nothing of today's network
                said["waiting"] = len(list(queue.pending()))
    except RelayError as e:
        problems.append(f"{offer.remote}: {e.message}")
    return said


def _peer(ledger: Ledger, name: str, problems: list[str], warnings: list[str]) -> dict[str, Any]:
    """A peer as it was found; what is wrong with it is added to the lists."""
    row: dict[str, Any] = {"name": name, "program": None, "version": None}
    try:
        peer = registry.find(ledger.repo, name)
    except RelayError:
        return row  # it is a problem already
    found = probe.find(peer.capabilities.program_for(Access.READ), os.environ)
    if found.path is None:
        return row
    version = probe.version(ledger.state, found, peer.capabilities) if peer.capabilities.minimum else None
    if version is not None and not version.supported:
        problems.append(version.complaint(peer))
    return row | {"program": str(found.path), "version": version.text if version is not None else None}


def _signers(offer: Offer, problems: list[str]) -> list[str]:
    """The names in the file of signers, the first few of them."""
    for path in (offer.signers, offer.revoked):
        if path is None:
            continue
        try:
            if path.stat().st_mode & _OTHERS_MAY_WRITE:
                problems.append(f"others may write {quote_path(path)}: chmod go-w it, or they say who is answered")
            text = path.read_text("utf-8", "replace")
        except OSError as e:
            problems.append(f"{quote_path(path)} cannot be read: {e.strerror}")
            continue
        if path == offer.signers:
            lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
            if not lines:
                problems.append(f"{quote_path(path)} names nobody: no request will be answered")
            return [plain(line.split()[0], 80) for line in lines[:_SHOWN]]
    return []


def _unmeasured(ledger: Ledger, offer: Offer, name: str) -> list[str]:
    try:
        able = registry.find(ledger.repo, name).capabilities
    except RelayError:
        return []
    blind = budget.unmeasured(Held(((DAY, "", offer.budget),)), able, None)
    return (
        [f"{name} does not tell what it uses: {', '.join(blind)} of the day's budget is not counted"] if blind else []
    )
