"""What a peer did in a turn, as its own events tell it: values, and the file `<id>.steps.jsonl`. Pure, no I/O.

The first line of the file says whose steps they are and how many were left out; each other line is one step.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names

KINDS: Final = ("run", "edit", "read", "search", "tool", "retry")
FIRST: Final = 400  # steps of a turn that are kept from its beginning
LAST: Final = 100  # and from its end
WHAT_MAX: Final = 300  # characters of a step
MAX_BYTES: Final = 1024 * 1024  # of a file; 500 steps of 300 characters of 4 bytes fit
FILE: Final = re.compile(r"([a-z0-9][a-z0-9-]*)\.steps\.jsonl")
_VERSION: Final = 1
_LINE: Final = ("at", "kind", "what", "exit", "ok")


class BadSteps(ValueError):
    """Why bytes are no file of steps."""


@dataclass(frozen=True)
class Step:
    """One thing that a peer says it did. `at`: seconds since the peer was started. `kind` is one of KINDS.

    `exit` is the exit code and `ok` whether it went well, each None if the events do not tell.
    """

    at: float
    kind: str
    what: str
    exit: int | None = None
    ok: bool | None = None

    @property
    def end(self) -> str:
        """`exit 1`, `failed`, '' if it went well or is not told."""
        if self.exit is not None:
            return f"exit {self.exit}"
        return "failed" if self.ok is False else ""

    def to_json(self) -> dict[str, Any]:
        told = {"exit": self.exit, "ok": self.ok}
        own: dict[str, Any] = {"at": self.at, "kind": self.kind, "what": self.what}
        return own | {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True)
class Steps:
    """The steps of the exchange `re`, whose peer is `from_`; `left_out` of them, in the middle, are not there."""

    re: str
    from_: str
    steps: tuple[Step, ...]
    left_out: int = 0

    def render(self) -> bytes:
        head = {"relay-steps": _VERSION, "re": self.re, "from": self.from_, "left_out": self.left_out}
        lines = [head, *(step.to_json() for step in self.steps)]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def steps_file(id_: str) -> str:
    return f"{id_}.steps.jsonl"


def parse(data: bytes) -> Steps:
    """The file's steps. Raises BadSteps that says what is wrong with it."""
    if len(data) > MAX_BYTES:
        raise BadSteps(f"it has {len(data)} bytes, at most {MAX_BYTES} are allowed")
    try:
        head, *lines = data.decode().removesuffix("\n").split("\n")
        said = json.loads(head)
        values = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        raise BadSteps("it is not JSON, one object a line") from None
    if not isinstance(said, dict) or said.get("relay-steps") != _VERSION:
        raise BadSteps("its first line does not say relay-steps: 1")
    re_, from_, left_out = said.get("re"), said.get("from"), said.get("left_out")
    if not (isinstance(re_, str) and names.is_id(re_) and isinstance(from_, str) and names.is_slug(from_)):
        raise BadSteps("its first line does not say of which exchange it is, and of whom")
    if isinstance(left_out, bool) or not isinstance(left_out, int) or left_out < 0:
        raise BadSteps("its first line does not say how many steps are left out")
    if len(values) > FIRST + LAST:
        raise BadSteps(f"it has {len(values)} steps, at most {FIRST + LAST} are allowed")
    return Steps(re_, from_, tuple(_step(number, value) for number, value in enumerate(values, 2)), left_out)


def _step(number: int, value: object) -> Step:
    known = value if isinstance(value, dict) and set(value) <= set(_LINE) else {}
    at, kind, what = known.get("at"), known.get("kind"), known.get("what")
    code, ok = known.get("exit"), known.get("ok")
    if (
        isinstance(at, bool)
        or not isinstance(at, int | float)
        or not 0 <= at < 1e9
        or kind not in KINDS
        or not isinstance(what, str)
        or plain(what, WHAT_MAX) != what
        or (code is not None and (isinstance(code, bool) or not isinstance(code, int) or abs(code) > 1 << 31))
        or not (ok is None or isinstance(ok, bool))
    ):
        raise BadSteps(f"line {number} is not a step")
    return Step(float(at), kind, what, code, ok)
