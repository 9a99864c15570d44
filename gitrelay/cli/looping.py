"""Following a loop at the terminal: a table that grows by a row for each round."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from gitrelay.cli import output
from gitrelay.errors import PEER_ERROR, PENDING, Code, Interrupted, UsageError
from gitrelay.gate.outgoing import Change
from gitrelay.history import loops
from gitrelay.history.exchange import Exchange
from gitrelay.history.loops import Loop
from gitrelay.history.rounds import Call, Round, Terms, open_findings
from gitrelay.ledger.ledger import Ledger
from gitrelay.loops import driving, stopping
from gitrelay.loops.rules import next_step
from gitrelay.protocol import names, usage
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import BRANCHES

_PAUSE: Final = 0.2  # seconds between two looks
_GONE: Final = 20  # looks without a process that drives the loop before that is believed
_WIDTHS: Final = (5, 24, 22, 30, 20)


def named(ledger: Ledger, text: str) -> Loop | None:
    """The loop of the session `text`, None if that is no session, or one without a loop."""
    if not names.is_session(text) or names.is_one_shot(text):
        return None
    try:
        return loops.read(ledger, text)
    except UsageError:
        return None


def follow(ledger: Ledger, session: str, limit: float | None, as_json: bool, *, verb: str = "loop") -> int:
    """Print the rounds as they end, until the loop ends; the exit code. After `limit` seconds nobody waits any more.

    Ctrl-C ends the loop, but for the verb `wait` only the waiting.
    """
    deadline = None if limit is None else time.monotonic() + limit
    printed, gone, tips = 0, 0, None
    loop: Loop | None = None
    with contextlib.nullcontext() if verb == "wait" else _ended_by_ctrl_c(ledger, session):
        while True:
            driven = driving.is_driven(ledger, session)
            now = [ledger.repo.ref(BRANCHES + name) for name in (session, f"{session}-review")]
            if now != tips or loop is None:
                loop, tips = loops.read(ledger, session), now
                assert loop is not None
                if not as_json:
                    printed = _print_rows(loop, printed)
            step = next_step(loop.terms, loop.rounds)
            if loop.end is not None or (step.kind == "ask" and not driven):
                break
            gone = 0 if driven else gone + 1
            if gone > _GONE or (deadline is not None and time.monotonic() >= deadline):
                break
            time.sleep(_PAUSE)
    return _finish(ledger, loop, gone > _GONE, as_json, verb)


@contextlib.contextmanager
def _ended_by_ctrl_c(ledger: Ledger, session: str) -> Iterator[None]:
    """Ctrl-C in this block ends the loop and is reported as Interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        output.say("interrupted: cancelling; press Ctrl-C again to leave it running")
        try:
            loop = stopping.stop(ledger, session, "Ctrl-C")
        except KeyboardInterrupt:
            hint = f"git relay loop --resume {session}, or git relay cancel {session}"
            raise Interrupted("interrupted; the loop goes on", hint=hint) from None
        raise Interrupted(
            f"interrupted: the loop of {session} ended: {loop.end}", hint=f"git relay log {session}"
        ) from None


def fix(
    ledger: Ledger,
    wanted: Change,
    review: Address,
    terms: Terms,
    from_: str | None,
    limit: float | None,
    as_json: bool,
) -> int:
    """Have what a review found fixed in a copy of the tree, in rounds; the exit code. Raises UsageError.

    The copy is made of the caller's working tree, so only a change that is checked out can be fixed.
    """
    if ledger.repo.ref("HEAD") != wanted.head:
        raise UsageError(
            f"--fix works on what is checked out, and HEAD is not {wanted.head[:12]}", hint="git switch to the branch"
        )
    session = f"fix-{wanted.session.removeprefix('review-')}"[:57].rstrip("-")
    place = f"git show relay/{review.session}:{review.id}.res.md"
    task = f"Fix what the review in {review} found ({place}), and nothing else. Commit nothing."
    output.say(str(driving.begin(Path.cwd(), ledger, session, terms, task, from_)))
    driving.start(ledger.repo.place, session)
    code = follow(ledger, session, limit, as_json)
    loop = loops.read(ledger, session)
    if loop is not None and loop.end is not None:
        changed = [c.address for one in loop.rounds for c in one.builds if c.before != c.after]
        output.say("nothing was changed" if not changed else "to bring it in, in this order:")
        for address in changed:
            output.say(f"  git relay apply {address}")
    return code


def _finish(ledger: Ledger, loop: Loop, gone: bool, as_json: bool, verb: str) -> int:
    code, error = _ending(ledger, loop, gone)
    if as_json:
        click.echo(output.envelope(verb, code, _json(loop), [error] if error else []))
        return code
    if error:
        click.echo(output.one_line(error["message"], error["hint"]), err=True)
    if loop.closing is not None:
        output.say(f"{loop.closing.address}: {loop.end}")
    return code


def _ending(ledger: Ledger, loop: Loop, gone: bool) -> tuple[int, dict[str, str] | None]:
    """(the exit code, what to tell besides) for a loop that has ended or is not waited for any more."""
    name = loop.session
    if loop.closing is not None:
        code = loop.closing.exit_code
        hint = f"git relay show {loop.closing.address}"
        why = str(loop.closing.reason or Code.VERIFY_FAILED)
        error = {"code": why, "message": f"the loop of {name} ended: {loop.end}", "hint": hint}
        return code, error if code else None
    step = next_step(loop.terms, loop.rounds)
    if step.kind == "ask" and step.call is not None:
        asked = loop.exchanges[step.call.address]
        (error,) = output.exchange_errors(asked)
        return PEER_ERROR, error | {"hint": f"{error['hint']}, then git relay loop --resume {name}"}
    why = driving.failure(ledger, name) if gone else ""
    message = (
        f"the loop of {name} is not driven any more{': ' + why if why else ''}"
        if gone
        else f"the loop of {name} goes on"
    )
    return PENDING, {"code": Code.PENDING, "message": message, "hint": f"git relay loop --resume {name}"}


def _print_rows(loop: Loop, printed: int) -> int:
    """Print the rounds that have ended since `printed` were; how many are printed now."""
    ended = list(loop.rounds) if loop.end is not None else list(loop.rounds[:-1])
    if ended and not printed:
        click.echo(_row(["ROUND", "BUILD", "CHECKS", "REVIEW", "OPEN"]))
    for at in range(printed, len(ended)):
        one = ended[at]
        found = open_findings(ended[: at + 1])
        click.echo(
            _row(
                [
                    str(one.number),
                    " ".join(f"{c.address} {_word(c)}" for c in one.builds),
                    "; ".join(word for c in one.builds[-1:] for word, _ in c.checks.values()) or "-",
                    " ".join(f"{c.address} {_word(c)}" for c in one.reviews) or "-",
                    " ".join(f"#{f.id}" for f in found) or "-",
                ]
            )
        )
    return len(ended)


def _row(cells: Sequence[str]) -> str:
    return output.safe("  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip())


def _word(call: Call) -> str:
    return call.verify if call.status == "done" else call.reason or call.status


def _json(loop: Loop) -> dict[str, Any]:
    """A loop as --json gives it; keys are stable (docs/json.md)."""
    closing = loop.closing
    return {
        "session": loop.session,
        "address": str(loop.first.address),
        "end": loop.end,
        "closing": str(closing.address) if closing else None,
        "rounds": [_round_json(loop, at) for at in range(len(loop.rounds))],
    }


def _round_json(loop: Loop, at: int) -> dict[str, Any]:
    one: Round = loop.rounds[at]
    calls = [loop.exchanges[c.address] for c in (*one.builds, *one.reviews)]
    checks = [(command, word) for c in one.builds[-1:] for command, (word, _) in c.checks.items()]
    return {
        "round": one.number,
        "builds": [c.address for c in one.builds],
        "reviews": [c.address for c in one.reviews],
        "before": one.before or None,
        "after": one.after or None,
        "checks": [{"command": command, "result": word} for command, word in checks],
        "findings": [
            {"id": f.id, "severity": f.severity, "path": f.path or None, "line": f.line or None, "text": f.text}
            for c in one.reviews
            for f in c.findings
        ],
        "open": [f.id for f in open_findings(loop.rounds[: at + 1])],
        "usage": _usage(calls),
    }


def _usage(calls: Sequence[Exchange]) -> dict[str, float]:
    """What the calls used together, as far as it was reported."""
    total: dict[str, float] = {}
    for e in calls:
        for name, value in usage.parse((e.response.usage if e.response else None) or "").items():
            total[name] = total.get(name, 0.0) + float(value)
    return total
