"""One member of an object in a JSON file of somebody else, put in and taken out with no other byte changed.

The file may have comments and trailing commas, as the settings of some agents do. Pure, no I/O.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gitrelay.ground.value import dataclass
from gitrelay.setup.shipped import digest

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")
_DEEP: Final = 200


@dataclass(frozen=True)
class Member:
    """A member of an object: its key, and where key and value begin and end in the text."""

    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True)
class Object:
    """An object: where its braces are, its members, and whether a comma follows the last one."""

    start: int
    end: int
    members: tuple[Member, ...]
    comma: bool

    def member(self, key: str) -> Member | None:
        return next((one for one in self.members if one.key == key), None)


@dataclass(frozen=True)
class Inserted:
    """A text with a member in it, and what was written before and behind the member for it."""

    text: str
    before: str
    behind: str

    @property
    def mark(self) -> str:
        """A hash of what was written around the member."""
        return digest(f"{self.before}\0{self.behind}".encode())


def root(text: str) -> Object:
    """The object that the whole text is. Raises ValueError if it is none."""
    start = _blank(text, 0)
    found = object_at(text, start)
    if _blank(text, found.end + 1) != len(text):
        raise ValueError("something follows the object")
    return found


def object_at(text: str, start: int, depth: int = 0) -> Object:
    """The object that begins at `start`. Raises ValueError."""
    if text[start : start + 1] != "{":
        raise ValueError(f"no object at character {start}")
    members: list[Member] = []
    at, comma = _blank(text, start + 1), False
    while text[at : at + 1] != "}":
        if members and not comma:
            raise ValueError(f"no comma at character {at}")
        key = _STRING.match(text, at)
        if key is None:
            raise ValueError(f"no key at character {at}")
        colon = _blank(text, key.end())
        if text[colon : colon + 1] != ":":
            raise ValueError(f"no colon at character {colon}")
        value = _blank(text, colon + 1)
        end = _value(text, value, depth + 1)
        members.append(Member(json.loads(key[0], strict=False), at, value, end))
        at = _blank(text, end)
        comma = text[at : at + 1] == ","
        at = _blank(text, at + 1) if comma else at
    return Object(start, at, tuple(members), comma)


def value_of(text: str, member: Member) -> Any:
    """The value of a member without comments in it. Raises ValueError."""
    return json.loads(text[member.value : member.end])


def insert(text: str, parent: str, key: str, value: object) -> Inserted:
    """`text` with the member `key` at the end of the object `parent` of its root; either is made if it is missing.

    Raises ValueError if the text, or what `parent` names, is not an object.
    """
    line = "\r\n" if "\r\n" in text else "\n"
    if not text.strip("\ufeff \t\r\n"):
        before = f'{{{line}  "{parent}": {{{line}    '
        behind = f"{line}  }}{line}}}{line}"
        return Inserted(text + before + _member(key, value, "    ", line) + behind, before, behind)
    top = root(text)
    inside = top.member(parent)
    if inside is not None:
        return _into(text, object_at(text, inside.value), key, value, line)
    indent = _indent(text, top)
    before, behind = f'"{parent}": {{{line}{indent}  ', f"{line}{indent}}}"
    member = before + _member(key, value, indent + "  ", line) + behind
    at, lead, end = _place(text, top, line)
    return Inserted(text[:at] + lead + member + end + text[at:], lead + before, behind + end)


def remove(text: str, parent: str, key: str, before: int, behind: int, mark: str) -> str:
    """`text` without the member, and without the characters before and behind it that `insert` wrote for it.

    If these are not there any more, as `mark` tells, only the member and its comma go. Raises ValueError.
    """
    member, inside = find(text, parent, key)
    if member is None or inside is None:
        return text
    lead, tail = text[max(0, member.start - before) : member.start], text[member.end : member.end + behind]
    exact = text[: member.start - len(lead)] + text[member.end + len(tail) :]
    if digest(f"{lead}\0{tail}".encode()) == mark and _is_whole(exact, parent, key):
        return exact
    at = inside.members.index(member)
    if at:
        return text[: inside.members[at - 1].end] + text[member.end :]
    if len(inside.members) > 1:
        return text[: member.start] + text[inside.members[1].start :]
    return text[: inside.start + 1] + text[inside.end :]


def find(text: str, parent: str, key: str) -> tuple[Member | None, Object | None]:
    """(the member, the object that it is in), None for what is not there. Raises ValueError."""
    if not text.strip("\ufeff \t\r\n"):
        return None, None
    outer = root(text).member(parent)
    if outer is None:
        return None, None
    inside = object_at(text, outer.value)
    return inside.member(key), inside


def _is_whole(text: str, parent: str, key: str) -> bool:
    """Whether the text is an object, or blank, and the member is gone from it."""
    try:
        return find(text, parent, key)[0] is None
    except ValueError:
        return False


def _into(text: str, inside: Object, key: str, value: object, line: str) -> Inserted:
    at, before, behind = _place(text, inside, line)
    member = _member(key, value, before.rpartition(line)[2], line)
    return Inserted(text[:at] + before + member + behind + text[at:], before, behind)


def _place(text: str, inside: Object, line: str) -> tuple[int, str, str]:
    """Where a new last member of the object goes, and what is to be before and behind it."""
    indent = _indent(text, inside)
    if inside.members:
        at = inside.members[-1].end
        if inside.comma:
            at = text.index(",", at) + 1 if "/" not in text[at : inside.end] else inside.end
        return at, f"{'' if inside.comma else ','}{line}{indent}", ""
    closed = text[inside.start + 1 : inside.end] == ""
    return inside.start + 1, f"{line}{indent}", f"{line}{indent[:-2]}" if closed else ""


def _indent(text: str, inside: Object) -> str:
    """The white space before the members of an object, as the first one has it, or two more than its own line."""
    if inside.members:
        lead = _lead(text, inside.members[0].start)
        if not lead.strip(" \t"):
            return lead
    lead = _lead(text, inside.start)
    return lead[: len(lead) - len(lead.lstrip(" \t"))] + "  "


def _lead(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : at]


def _member(key: str, value: object, indent: str, line: str) -> str:
    words = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", line + indent)
    return f"{json.dumps(key)}: {words}"


def _blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int, depth: int) -> int:
    """Where the value that begins at `at` ends. Raises ValueError."""
    if depth > _DEEP:
        raise ValueError("nested too deeply")
    if text[at : at + 1] == "{":
        return object_at(text, at, depth).end + 1
    if text[at : at + 1] == "[":
        return _list(text, at, depth)
    found = _STRING.match(text, at) or _WORD.match(text, at)
    if found is None:
        raise ValueError(f"no value at character {at}")
    return found.end()


def _list(text: str, at: int, depth: int) -> int:
    at = _blank(text, at + 1)
    while text[at : at + 1] != "]":
        at = _blank(text, _value(text, at, depth + 1))
        if text[at : at + 1] == ",":
            at = _blank(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ValueError(f"no comma at character {at}")
    return at + 1
