"""That the changes of an exchange were brought into a working tree, as the file `<id>.apply.md`. Pure, no I/O."""

from __future__ import annotations

import re
from typing import Final

from gitrelay.ground.text import plain
from gitrelay.ground.value import dataclass
from gitrelay.protocol.message import PROTOCOL

APPLIED: Final = "applied"
CONFLICT: Final = "conflict"
_SUBJECT: Final = re.compile(r"apl (\S+) onto ([0-9a-f]{40}|[0-9a-f]{64}): (applied|conflict)")


@dataclass(frozen=True)
class ApplyResult:
    """`onto` is the tree of the files that the changes came to; `word` is APPLIED or CONFLICT.

    `lines` are what was changed, as `M path`, or what was in the way.
    """

    onto: str
    word: str
    by: str
    lines: tuple[str, ...] = ()

    def subject(self, id_: str) -> str:
        return f"apl {id_} onto {self.onto}: {self.word}"

    def render(self, id_: str) -> bytes:
        head = f"---\nrelay: {PROTOCOL}\nre: {id_}\napply: {self.word}\nonto: {self.onto}\nby: {self.by}\n---\n\n"
        body = "".join(f"- {plain(line)}\n" for line in self.lines) or "Nothing was changed: it was there already.\n"
        return (head + body).encode("utf-8", "replace")


def parse_subject(subject: str) -> tuple[str, str, str] | None:
    """(id, tree, word) of the subject of such a commit, None if it is not one."""
    found = _SUBJECT.fullmatch(subject)
    return (found[1], found[2], found[3]) if found else None
