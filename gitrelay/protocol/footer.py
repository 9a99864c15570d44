"""The Reply block that a request ends with: a template that people may change, and what it must keep. Pure, no I/O.

Whatever it says, the task is found again between the front matter and the last `---` and `Reply:` lines, a response
can be addressed by its Format block, and the default is the protocol's own, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gitrelay.ground.value import dataclass

BEGINS: Final = re.compile(r"^---\nReply:", re.MULTILINE)
RESPONSE: Final = "{your response}"
TEMPLATE: Final = """\
---
Reply: {reply}
{context}{verify}Format:
  ---
  relay: 4
  re: {id}
  from: {to}
  to: {from}
  status: done | error
  verify: pass | fail | skip
  ---
  {your response}
"""
# what finds the task, the earlier turns and whom an answer is for, line by line as the default has it
_NEEDED: Final = ("Reply: {reply}", "  re: {id}", "  from: {to}", "  to: {from}")
_FORMAT: Final = "Format:"
_FIELD = re.compile(r"^ *(re|from|to): \S+$")
_PLACE = re.compile(r"\{(id|session|from|to|reply|context|verify|your response)\}")


@dataclass(frozen=True)
class Form:
    """How the requests to a peer end: the template, what is recommended as a body, which commands verify the work."""

    template: str = TEMPLATE
    pattern: str = ""
    verify: tuple[str, ...] = ()


def filled(form: Form, values: Mapping[str, str]) -> str:
    """The Reply block. `values` has id, session, from, to, reply and context, which is a whole line or empty."""
    body = form.pattern.rstrip("\n").replace("\n", "\n  ") or RESPONSE
    more = {"verify": _commands(form.verify), RESPONSE[1:-1]: body}
    text = _PLACE.sub(lambda place: {**values, **more}[place[1]], form.template)
    return text if text.endswith("\n") else text + "\n"


def _commands(commands: Sequence[str]) -> str:
    """The lines that name the verification commands; none for none."""
    return "".join(["Verify: run these before you answer\n", *(f"  $ {one}\n" for one in commands)]) if commands else ""


def fault_of_template(template: str) -> tuple[int, str] | None:
    """(line, what is wrong) if gitrelay could not find the task again, or no peer could address its answer."""
    lines = template.removesuffix("\n").split("\n")
    if lines[0] != "---":
        return 1, "it does not begin with '---'"
    if len(lines) < 2 or lines[1] != _NEEDED[0]:
        return 2, f"it is not '{_NEEDED[0]}'"
    for number, line in enumerate(lines[2:], 3):
        if line.startswith("Reply:") and lines[number - 2] == "---":
            return number, "it begins a second Reply block, and the task would end there"
    formats = [number for number, line in enumerate(lines, 1) if re.sub(r"^(\{\w+\})+", "", line) == _FORMAT]
    if len(formats) != 1:
        return (formats or [len(lines)])[-1], f"there is not one line '{_FORMAT}'"
    for needed in _NEEDED[1:]:
        if needed not in lines[formats[0] :]:
            return formats[0], f"no line '{needed}' is below it"
    for number, line in enumerate(lines, 1):
        if _FIELD.match(line) and (line not in _NEEDED or line in lines[: number - 1]):
            return number, "it would be taken for the address of the answer"
    return None


def fault_of_pattern(pattern: str) -> tuple[int, str] | None:
    """(line, what is wrong) if a line of the pattern would be taken for the address of the answer."""
    for number, line in enumerate(pattern.split("\n"), 1):
        if _FIELD.match(line):
            return number, "it would be taken for the address of the answer"
        if line == _FORMAT:
            return number, "it would begin a second Format block"
    return None
