"""The result of a check, as a value and as the file `<id>.check.md`. Pure, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from gitrelay.ground.text import block
from gitrelay.ground.value import dataclass
from gitrelay.protocol.message import PROTOCOL

NOT_TOLD: Final = "not told"
_TRAILER: Final = re.compile(r"(pass|fail \((?:exit|signal) [0-9]+\)|timeout|lost)(?:: (.*))?")


@dataclass(frozen=True)
class CheckResult:
    """One run of a check. `word` is `pass`, `fail (exit 1)`, `timeout` or `lost`; `output` its first and last lines.

    `program` is the file that the command's first word was found as, '' if that is a word of the shell's own.
    """

    command: str
    word: str
    seconds: float = 0.0
    output: str = ""
    program: str = ""

    def render(self, id_: str, tree: str | None) -> bytes:
        """The check's file: front matter as JSON-quoted YAML scalars, so that no command can break it."""
        head = (
            f"---\nrelay: {PROTOCOL}\nre: {id_}\ncheck: {json.dumps(self.command, ensure_ascii=True)}\n"
            f"result: {self.word}\nduration: {self.seconds:.1f}\n" + (f"tree: {tree}\n" if tree else "") + "---\n\n"
        )
        return (head + block(self.command, self.output, self.word) + "\n").encode("utf-8", "replace")


def render_list(words: Sequence[str]) -> str:
    """`Relay-Remote-Checks` (the commands) and `Relay-Worker-Checks` (how each ended) as they are recorded."""
    return json.dumps(list(words), ensure_ascii=False) if words else ""


def parse_list(text: str) -> tuple[str, ...] | None:
    """What `render_list` gave, () for nothing; None if it is no list of words of one line each."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(word, str) and word.strip() for word in found):
        return None
    return tuple(found) if all(word.isprintable() for word in found) else None


def told(commands: str, words: str) -> tuple[tuple[str, str], ...]:
    """(command, how it ended at the worker, as the worker says) of the two trailers; NOT_TOLD if it says nothing."""
    wanted, said = parse_list(commands) or (), parse_list(words) or ()
    if len(said) != len(wanted) or not all(_TRAILER.fullmatch(word) for word in said):
        said = (NOT_TOLD,) * len(wanted)
    return tuple(zip(wanted, said, strict=True))


def parse_trailer(text: str) -> tuple[str, str] | None:
    """`Relay-Check` -> (word, command), None if it is not one."""
    found = _TRAILER.fullmatch(text)
    return (found[1], found[2] or "") if found else None
