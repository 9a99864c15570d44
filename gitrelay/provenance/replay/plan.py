"""Which recorded requests are asked again, with what, and what of them cannot be brought back.

A plan is a request of a session of its own, `replay-` and eight digits that follow from the words of the command. So
the same command finds what it began; once that has ended, the same command begins another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Final

from gitrelay import __version__
from gitrelay.calls import group, plan
from gitrelay.calls.order import Alone, Order
from gitrelay.calls.settings import Given
from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.ground.text import quote
from gitrelay.history import batch
from gitrelay.history.exchange import Exchange
from gitrelay.history.loops import CLOSER
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names, usage
from gitrelay.protocol.frontmatter import BadMessage
from gitrelay.protocol.message import task_of
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import STARTED_IN, Trailer
from gitrelay.provenance.replay.report import AGAIN, NEW

PEER: Final = names.REPLAY
PREFIX: Final = f"{names.REPLAY}-"
MOST_RUNS: Final = 99
_STARTED: Final = re.compile(rf"^(?:- )?{STARTED_IN}(.+)/\.$", re.MULTILINE)
_FENCED: Final = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Terms:
    """What is asked for. `words` are the exchanges as they were named: addresses, `--last 10`, `--session S`."""

    words: tuple[str, ...]
    to: str
    model: str | None
    effort: str | None
    runs: int
    checks: tuple[str, ...]

    def session(self, number: int) -> str:
        """The session of the `number`th replay of these terms."""
        text = json.dumps([asdict(self), number], sort_keys=True)
        return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Task:
    """A recorded request that can be asked again. `gaps` are what cannot be brought back of it, by their words."""

    found: Exchange
    text: str
    given: Given
    alone: Alone
    answer: str  # the tree of the recorded answer
    gaps: tuple[str, ...]

    @property
    def address(self) -> Address:
        return self.found.address

    def order(self, terms: Terms, arm: str, session: str, run: int) -> Order:
        """The order of one run. Limits of silence are a matter of each program, so the other peer has its own."""
        to, given = (self.found.to, self.given) if arm == AGAIN else (terms.to, replace(self.given, model=terms.model))
        if arm == NEW:
            given = replace(given, effort=terms.effort, idle_timeout=None, first_output=None)
        return Order(
            self.text,
            (to,),
            from_=self.found.from_,
            session=session,
            given=given,
            # what was handed over is named by commits, so that each run is given the same text
            binding={
                Trailer.REPLAY: f"{self.address} {arm} {run}",
                Trailer.CONTEXT: self.found.request.context or "",
            },
            alone=self.alone,
        )


@dataclass(frozen=True)
class Plan:
    """The exchanges that are asked again, and those that are not with the reason, by address.

    The checks of the `lenient` ones pass before any work: they tell only whether something was broken.
    """

    session: str
    terms: Terms
    addresses: tuple[str, ...]
    left_out: dict[str, str]
    lenient: tuple[str, ...] = ()

    def text(self) -> str:
        """The plan as a task, which says it in words and as JSON."""
        said = (
            f"Ask {len(self.addresses)} recorded requests again, {self.terms.runs} times each: the peer that answered "
        )
        value = {"version": 1, **asdict(self)}
        return f"{said}then, and {self.terms.to}.\n\n```json\n{json.dumps(value, indent=1, ensure_ascii=False)}\n```"

    def run_session(self, number: int, arm: str, run: int, attempt: int = 1) -> str:
        """The session of one run, each a new name: agents keep what they remember by the name of a folder."""
        return f"{self.session}-{number:02}-{arm}{run}" + (f"-{attempt}" if attempt > 1 else "")


def parse(request: bytes) -> Plan | None:
    """The plan in the bytes of a request, None if there is none."""
    with contextlib.suppress(BadMessage, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        fenced = _FENCED.search(task_of(request))
        value = json.loads(fenced[1]) if fenced else {}
        terms = value["terms"]
        lists = {"words": tuple(map(str, terms["words"])), "checks": tuple(map(str, terms["checks"]))}
        made = Plan(
            str(value["session"]),
            Terms(**{**terms, **lists}),
            tuple(map(str, value["addresses"])),
            {str(address): str(why) for address, why in value["left_out"].items()},
            tuple(map(str, value["lenient"])),
        )
        if all(names.is_address(one) for one in made.addresses) and type(made.terms.runs) is int:
            return made
    return None


def chosen(
    ledger: Ledger, addresses: Sequence[Address], last: int, session: str | None, checked: bool
) -> list[Exchange]:
    """The exchanges that are named, with their requests, in the order of the record; each once.

    `last`: so many of those answered last that have a check, or any if `checked`, and are no replay themselves.
    Raises UsageError for an unknown session or address.
    """
    named = list(dict.fromkeys([address.session for address in addresses] + ([session] if session else [])))
    found = batch.read(ledger, () if last else named, bodies=not last)
    if not last:
        for name, error in found.damaged.items():
            raise UsageError(f"session {name} cannot be read: {error.message}", hint=f"git relay fsck {name}")
        wanted = set(addresses)
        every = [e for e in found.exchanges if e.address in wanted or e.address.session == session]
        for missing in wanted - {e.address for e in every}:
            raise UsageError(
                f"there is no exchange {missing}", hint=f"git relay log {missing.session}", code=Code.UNKNOWN_EXCHANGE
            )
        return every
    fit = [e for e in found.exchanges if e.response is not None and (checked or e.checks) and _is_call(e)]
    from gitrelay.history import exchanges

    return exchanges.with_bodies(ledger, fit[-last:])


def _is_call(e: Exchange) -> bool:
    """Whether one peer was asked, and not for a replay."""
    return e.to not in (CLOSER, PEER) and not group.is_group(e) and Trailer.REPLAY not in e.request.trailers


def task(ledger: Ledger, e: Exchange, checks: Sequence[str]) -> Task | str:
    """The request ready to be asked again with `checks`, or its own if there are none; else why it cannot be."""
    request, response = e.request, e.response
    if Trailer.REPLAY in request.trailers:
        return "it is a run of a replay"
    if not _is_call(e):
        return "it is no call to one peer"
    if response is None:
        return "it is not answered"
    if not request.tree or not response.tree:
        return "its files were not recorded"
    if any(one is None for one in ledger.repo.objects([f"{tree}^{{tree}}" for tree in (request.tree, response.tree)])):
        return "its files are not in this clone"
    commands = tuple(checks) or _checks(e)
    if not commands:
        return "nothing checks it; --check CMD names one"
    if any("[redacted:" in one for one in commands):
        return "its check was redacted"
    try:
        text = task_of(e.request_data)
    except BadMessage:
        return "its request cannot be read"
    given = _given(e, commands)
    below = _started_in(ledger, e)
    if below is None:
        return "the folder that it was started in is not in the recorded files"
    alone = Alone(request.tree, *_earlier(ledger, e), below)
    made = Task(e, text, given, alone, response.tree, tuple(_gaps(ledger, e)))
    try:
        plan.make(ledger.repo, made.order(Terms((), e.to, None, None, 1, ()), AGAIN, f"{PREFIX}x", 1))
    except UsageError as error:
        return f"{e.to} cannot be asked again: {error.message}"
    return made


def _checks(e: Exchange) -> tuple[str, ...]:
    """The commands that were asked for; of an older request, those that ran."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(e.request.trailers.get(Trailer.ASKED_CHECKS, "null"))
        if isinstance(value, list):
            return tuple(one for one in value if isinstance(one, str))
    return tuple(dict.fromkeys(check.command for check in e.checks))


def _given(e: Exchange, checks: tuple[str, ...]) -> Given:
    trailers = e.request.trailers
    limits = _limits(trailers.get(Trailer.ASKED_LIMITS, ""))
    return Given(
        access=e.request.access,
        model=trailers.get(Trailer.ASKED_MODEL) or None,
        effort=trailers.get(Trailer.ASKED_EFFORT) or None,
        timeout=limits.get("timeout"),
        idle_timeout=limits.get("idle-timeout"),
        first_output=limits.get("first-output"),
        checks=checks,
        isolate=True,
    )


def _limits(text: str) -> dict[str, str]:
    """name -> the limit as an option takes it."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    pairs = value.items() if isinstance(value, dict) else ()
    return {
        name: "none" if one is None else f"{one:g}s" for name, one in pairs if one is None or type(one) in (int, float)
    }


def _earlier(ledger: Ledger, e: Exchange) -> tuple[str, str]:
    """(the session, the commit before the request) if the request is a later turn, else ('', '')."""
    if e.address.id in (e.address.session, names.turn_id(1)):
        return "", ""
    parent = ledger.repo.ref(f"{e.request.oid}^")
    return (e.address.session, parent) if parent else ("", "")


def _started_in(ledger: Ledger, e: Exchange) -> str | None:
    """The folder that the peer was started in, from the top, '' for the top; None if it is not in the recorded tree."""
    commit = ledger.repo.objects([e.request.oid])[0]
    found = _STARTED.search(commit.data.decode("utf-8", "replace").partition("\n\n")[2]) if commit is not None else None
    if found is None:
        return ""
    there = ledger.repo.objects([f"{e.request.tree}:{found[1]}"])[0]
    is_plain = "\0" not in found[1] and ".." not in found[1].split("/")
    return found[1] if is_plain and there is not None and there.kind == "tree" else None


def _gaps(ledger: Ledger, e: Exchange) -> list[str]:
    """What cannot be brought back of an exchange, in words that are the same for each kind."""
    asked, answer = e.request, e.response
    assert answer is not None
    head = ledger.repo.objects([f"{asked.trailers.get(Trailer.HEAD, '')}^{{tree}}"])[0]
    tool, now = asked.trailers.get(Trailer.TOOL, ""), f"gitrelay {__version__}"
    gaps = [
        ("files were not in the recorded tree", (asked.left_out or "0") != "0"),
        ("what was not committed then is part of the commit now", head is not None and head.oid != asked.tree),
        ("it was in a conversation of the peer's own; the earlier turns are files now", _is_native(e)),
        ("secrets were taken out of the request", (asked.redacted or "0") != "0"),
        (
            "its model, effort and limits were not recorded; today's are used",
            Trailer.ASKED_LIMITS not in asked.trailers,
        ),
        (f"it was asked by another gitrelay than {now}", bool(tool) and tool != now),
        ("other calls worked in the same files", bool(answer.shared)),
    ]
    return [words for words, holds in gaps if holds]


def _is_native(e: Exchange) -> bool:
    return e.response is not None and e.response.trailers.get(Trailer.CONTINUATION) == "native"


def cost(found: Sequence[Exchange]) -> tuple[Decimal | None, int]:
    """(dollars that calls cost together, None if none of them says; how many say)."""
    spent = [usage.parse((e.response.usage if e.response else None) or "").get("cost_usd") for e in found]
    known = [one for one in spent if one is not None]
    return (sum(known, Decimal(0)), len(known)) if known else (None, 0)


def check_secrets(ledger: Ledger, terms: Terms) -> None:
    """Raise UsageError if what is asked for looks like a secret: it is recorded."""
    if ledger.redactor.redact(json.dumps(asdict(terms), ensure_ascii=False)).total:
        raise UsageError(
            "what is asked for looks like a secret, and it is recorded",
            hint="put the secret into a script that the check runs",
            code=Code.BAD_CHECK,
        )


def check_peer(ledger: Ledger, tasks: Sequence[Task], terms: Terms) -> None:
    """Raise UsageError now for a peer, a model or an access that could not be asked for later."""
    for one in tasks:
        try:
            plan.make(ledger.repo, one.order(terms, NEW, f"{PREFIX}x", 1))
        except UsageError as e:
            if e.code != Code.BAD_ACCESS:
                raise
            raise UsageError(
                f"{one.address} was asked with {one.given.access} access, and {e.message}",
                hint=f"leave {one.address} out, or compare with another peer",
                code=e.code,
            ) from None


def refused(left: dict[str, str]) -> RelayError:
    """The error if no exchange is left."""
    first, why = next(iter(left.items()), ("nothing", "no answered call has a check"))
    return UsageError(
        f"there is nothing to ask again: {quote(first)}: {why}" if left else f"there is nothing to ask again: {why}",
        hint="git relay log; an exchange needs an answer, recorded files and a check (--check CMD)",
        code=Code.NO_CHECKS,
    )
