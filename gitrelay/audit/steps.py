"""The commits of a session as values: what a raw commit says, and what it did to the tree. Pure, no I/O."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gitrelay.git.objects import split_tree
from gitrelay.ground.text import quote

# why an object's bytes cannot be had; a str where bytes would stand
MISSING: Final = "is missing, or cannot be read"
CORRUPT: Final = "is damaged"
_OID = rb"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_LINKS = re.compile(rb"tree (%s)\n((?:parent %s\n)*)author " % (_OID, _OID))
# what git commit-tree writes behind tree and parents; a signature follows, each line of it but the first indented
_PEOPLE = re.compile(
    r"^author (.*?) ?<([^<>\n]*)> (-?[0-9]+) [-+][0-9]+\n"
    r"committer (.*?) ?<([^<>\n]*)> (-?[0-9]+) [-+][0-9]+(?:\n((?s:.*)))?\Z",
    re.MULTILINE,
)
_SIGNATURE = re.compile(r"gpgsig(?:-sha256)? |[ ]|\Z")
_HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")  # git ends a message at a NUL; others move a cursor
_TRAILER = re.compile(r"^([A-Za-z0-9][A-Za-z0-9-]*): (\S[^\n]*)$", re.MULTILINE)
_IMPORTED = re.compile(r"Imported by [a-z0-9][a-z0-9-]*\.")


@dataclass(frozen=True)
class Commit:
    """A commit as its bytes say.

    `authored` and `time` are the author's and the committer's dates, seconds since the epoch. `trailers` are those of
    the last paragraph, `notes` the paragraphs before it. `fault` is what is wrong with the block of trailers and
    `strange` what is wrong with the headers, '' if nothing is.
    """

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str]
    authored: int
    committer: tuple[str, str]
    time: int
    subject: str
    trailers: Mapping[str, str]
    notes: str
    signed: bool
    imported: bool
    fault: str
    strange: str


@dataclass(frozen=True)
class Entry:
    """A file in a tree, as its bytes say."""

    mode: str
    name: str
    oid: str


@dataclass(frozen=True)
class Step:
    """A commit and what it did to its parent's tree.

    `added` is None if one of the two trees cannot be read; `fault` says why this commit's cannot.
    """

    commit: Commit
    added: tuple[Entry, ...] | None
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    fault: str = ""


def links(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    """(the tree, the parents) of a raw commit object, None if it is not one."""
    found = _LINKS.match(data)
    if found is None:
        return None
    return found[1].decode(), tuple(line[7:].decode() for line in found[2].splitlines())


def parse_commit(oid: str, data: bytes, tree: str, parents: tuple[str, ...]) -> Commit | None:
    """A raw commit object whose `links` are known, None if it is not one."""
    headers, _, text = data.decode("utf-8", "replace").partition("\n\n")
    people = _PEOPLE.search(headers)
    if people is None:
        return None
    behind = (people[7] or "").split("\n") if people[7] else []
    extra = next((line for line in behind if not _SIGNATURE.match(line)), None)
    strange = f"a header that gitrelay does not write: {quote(extra)}" if extra is not None else ""
    if _HIDDEN.search(text):
        strange = "a control character in its words"
    subject, _, body = text.partition("\n")
    notes, _, block = body.removesuffix("\n").rpartition("\n\n")
    block = block.removeprefix("\n")
    found = _TRAILER.findall(block)
    trailers = dict(found)
    if not body.startswith("\n"):
        fault = "no blank line behind the subject"
    elif len(found) != block.count("\n") + 1:
        other = next(line for line in block.split("\n") if not _TRAILER.match(line))
        fault = f"{quote(other)} is not a trailer" if other else "there are no trailers"
    else:
        fault = "" if len({key.lower() for key in trailers}) == len(found) else "a trailer is there twice"
    return Commit(
        oid=oid,
        tree=tree,
        parents=parents,
        author=(people[1], people[2]),
        authored=int(people[3]),
        committer=(people[4], people[5]),
        time=int(people[6]),
        subject=subject,
        trailers=trailers,
        notes=notes,
        signed="\ngpgsig" in headers,
        imported=notes != "" and any(_IMPORTED.fullmatch(note) for note in notes.strip("\n").split("\n\n")),
        fault=fault,
        strange=strange,
    )


class Tree:
    """The tree of a session while it grows. `grow` says what the next one did to it."""

    def __init__(self, width: int) -> None:
        self._width = width  # of an object id, in bytes
        self._names: list[bytes] = []
        self._entries: list[bytes] = []  # raw, in git's order
        self._known = True

    def grow(self, commit: Commit, after: bytes | str) -> Step:
        """The step to the raw tree `after`, a str if it cannot be had.

        The usual step, a file more, is told by building the tree that it must give.
        """
        if isinstance(after, str) or not self._known:
            return self._replace(commit, after)
        kind = {"chk ": "check", "apl ": "apply"}.get(commit.subject[:4], commit.subject[:3])
        name = f"{commit.trailers.get('Relay-Id', '')}.{kind}.md".encode()
        start = b"100644 %s\0" % name
        at = after.find(start)
        entry = after[at : at + len(start) + self._width]
        place = bisect.bisect(self._names, name)
        if at < 0 or b"".join((*self._entries[:place], entry, *self._entries[place:])) != after:
            return self._replace(commit, after)
        self._names.insert(place, name)
        self._entries.insert(place, entry)
        return Step(commit, (Entry("100644", name.decode(), entry[-self._width :].hex()),))

    def _replace(self, commit: Commit, after: bytes | str) -> Step:
        fault = after if isinstance(after, str) else ""
        now: list[tuple[bytes, bytes]] = []
        if isinstance(after, bytes):
            try:
                now = split_tree(after, self._width)
            except ValueError:
                fault = CORRUPT
        before = dict(zip(self._names, self._entries, strict=True)) if self._known else None
        self._known = not fault
        self._names = [name for name, _ in now]
        self._entries = [entry for _, entry in now]
        if before is None or fault:
            return Step(commit, None, fault=fault)
        there = dict(now)
        return Step(
            commit,
            added=tuple(self._entry(name, entry) for name, entry in now if name not in before),
            changed=tuple(_text(name) for name, entry in now if name in before and before[name] != entry),
            deleted=tuple(_text(name) for name in before if name not in there),
        )

    def _entry(self, name: bytes, entry: bytes) -> Entry:
        return Entry(entry.partition(b" ")[0].decode("ascii", "replace"), _text(name), entry[-self._width :].hex())


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
