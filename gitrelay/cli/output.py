"""What verbs print: the one envelope, exchanges, lines on stderr. stdout is the answer and nothing else."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from gitrelay.errors import OK, Code, Reason, RelayError
from gitrelay.history.exchange import Exchange
from gitrelay.peers import cures
from gitrelay.protocol import usage

if TYPE_CHECKING:
    from gitrelay.protocol.steps import Steps

ENVELOPE_VERSION = 1


def envelope(command: str, exit_code: int, data: object, errors: Sequence[Mapping[str, str]] = ()) -> str:
    """The answer of every verb with --json; see docs/json.md."""
    value = {
        "version": ENVELOPE_VERSION,
        "command": command,
        "exit_code": exit_code,
        "data": data,
        "errors": list(errors),
    }
    return json.dumps(value, ensure_ascii=False)


def one_line(message: str, hint: str = "") -> str:
    """An error as one line: what is wrong, then what to do next."""
    text = f"git-relay: {message.rstrip('.')}" + (f"; {hint}" if hint else "")
    return safe(" ".join(text.split()))


def say(text: str) -> None:
    """A line for the person who waits."""
    click.echo(safe(text), err=True)


def note(notes: Sequence[str]) -> None:
    for text in notes:
        say(f"git-relay: {text}")


def from_remotes(remotes: Iterable[str]) -> None:
    """Say what was read from remote-tracking branches, and the command that brings the rest."""
    for remote in sorted(set(remotes) - {""}):
        say(
            f"git-relay: read from what git fetched of {remote}; the files, and the next turn: git relay fetch {remote}"
        )


def safe(text: str) -> str:
    """`text` without anything that could move a cursor, set a title or reorder what is read."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in text)


def write(data: bytes) -> None:
    """Bytes of the ledger on stdout: as they are on a pipe, without control characters on a terminal."""
    if sys.stdout.isatty():
        click.echo(safe(data.decode("utf-8", "replace")), nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def is_drawn() -> bool:
    """Whether stdout ends on a terminal: it is one, or the pager that git has started is between."""
    return sys.stdout.isatty() or bool(os.environ.get("GIT_PAGER_IN_USE"))


def safe_git(data: bytes) -> str:
    """What git prints of the user's own files, with git's own colours and nothing else's."""
    kept = re.split(r"(\x1b\[[0-9;]*m)", data.decode("utf-8", "replace"))
    return "".join(part if i % 2 else safe(part) for i, part in enumerate(kept))


def exchange_json(e: Exchange, *, request: bool = False) -> dict[str, Any]:
    """An exchange as every verb gives it; keys are stable (docs/json.md)."""
    response = e.response
    answer = e.answer if e.response_data else None
    seconds = usage.amount(response.duration) if response else None
    asked = e.question
    value: dict[str, Any] = {
        "address": str(e.address),
        "session": e.address.session,
        "id": e.address.id,
        "from": e.from_,
        "to": e.to,
        "status": e.status,
        "verify": e.verify,
        "reason": e.reason,
        "outcome": e.outcome,
        "checked": e.checked,
        "recorded": e.recorded,
        "body": answer.body if answer else None,
        "question": asked.text if asked else None,
        "options": list(asked.options) if asked else [],
        "access": e.request.access,
        "workspace": e.request.workspace,
        "context": [word.partition("@")[0] for word in (e.request.context or "").split()],
        "request_commit": e.request.oid,
        "response_commit": e.response.oid if e.response else None,
        "requested": e.request.time,
        "responded": e.response.time if e.response else None,
        "duration_s": None if seconds is None else float(seconds),
        "peer": response.peer if response else None,
        "model": response.model if response else None,
        "peer_session": response.peer_session if response else None,
        "denied": number((response.denied if response else None) or ""),
        "usage": _usage((response.usage if response else None) or ""),
        "applies": [{"result": a.word, "onto": a.onto, "commit": a.commit.oid} for a in e.applies],
        "checks": [{"command": c.command, "result": c.word, "commit": c.commit.oid} for c in e.checks],
        "worker_checks": [{"command": command, "result": word} for command, word in e.worker_checks],
    }
    if request:
        value["request"] = e.request_data.decode("utf-8", "replace")
    return value


def steps_json(steps: Steps | None) -> dict[str, Any]:
    """What `show --steps` adds to an exchange; null if nothing is recorded."""
    rows = None
    if steps is not None:
        rows = [{"at_s": s.at, "kind": s.kind, "what": s.what, "exit": s.exit, "ok": s.ok} for s in steps.steps]
    return {"steps": rows, "steps_left_out": steps.left_out if steps is not None else 0}


def exchange_errors(e: Exchange) -> list[dict[str, str]]:
    """The envelope's errors for an exchange: none if it went well."""
    if e.exit_code == OK:
        return []
    if e.response is None:
        return [{"code": Code.PENDING, "message": f"{e.address} goes on", "hint": f"git relay wait {e.address}"}]
    if e.status == "done" and e.failed_checks:
        claim = f", although {e.to} claimed verify: pass" if e.verify == "pass" else ""
        hint = f"git relay show {e.address}"
        return [
            {"code": Code.CHECK_FAILED, "message": f"{e.address}: check {c.word}: {c.command}{claim}", "hint": hint}
            for c in e.failed_checks
        ]
    if e.status == "done" and e.verify != "fail":
        said = "; ".join(f"check {word}: {command}" for command, word in e.failed_at_worker)
        hint = f"'git relay check-again {e.address} --check CMD' runs it here"
        return [{"code": Code.VERIFY_FAILED, "message": f"{e.address}: the worker says: {said}", "hint": hint}]
    if e.status == "done":
        return [{"code": Code.VERIFY_FAILED, "message": f"{e.address}: verify: fail", "hint": ""}]
    asked = e.question
    if asked is not None:
        hint = f"git relay answer {e.address} TEXT" + (" or --option N" if asked.options else "")
        return [{"code": Reason.NEEDS_INPUT, "message": f"{e.address}: {e.to} asks: {asked.text}", "hint": hint}]
    code = e.reason or "peer-error"
    first = e.answer.body.strip().splitlines()[0] if e.answer and e.answer.body.strip() else code
    cure = cures.cure(e.to, code, first)
    return [{"code": code, "message": f"{e.address}: {first}", "hint": cure or f"git relay show {e.address}"}]


def damaged_errors(damaged: Mapping[str, RelayError]) -> list[dict[str, str]]:
    """The envelope's errors for sessions that cannot be read while others can."""
    return [{"code": e.code, "message": f"{name}: {e.message}", "hint": e.hint} for name, e in damaged.items()]


def number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _usage(text: str) -> dict[str, float]:
    return {key: float(n) if key == "cost_usd" else int(n) for key, n in usage.parse(text).items()}
