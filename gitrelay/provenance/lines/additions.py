"""What an exchange added, line by line, without the text itself: hashes, so that no copy of a file is kept. No I/O.

Two lines are the same here if they differ in white space only. What was removed and added again in one exchange is
moved, not written: `limits` says of which lines fewer were written than added.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gitrelay.ground.value import dataclass

EDGE: Final = 0  # the key of what is before the first line of a file and behind its last
MODULUS: Final = 2**61 - 1  # of the hash by which lines that were joined or split are found
SHORT: Final = 20  # word characters; a line with fewer is written again by others, as `return None`
MOST_ROWS: Final = 50_000  # lines of one exchange; the rest of a larger one is not looked at
_HEAD: Final = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPES: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
_NO_WORD: Final = bytes(c for c in range(128) if not (chr(c).isalnum() or c == ord("_")))
_QUOTES: Final = bytes.maketrans(b"'", b'"')


class Text(NamedTuple):
    """A line without its text: `key` without white space, `bytes` a sum of it with all that it has but the line end,
    `words` how many word characters it has.

    `size` and `joined` (length and hash) are of the line without commas and white space, with one kind of quotes.
    """

    key: int
    bytes: int
    words: int
    size: int
    joined: int


class Row(NamedTuple):
    """A line that was added: its number in the new file, the keys of the lines around it, and itself.

    `twin`: so many lines further there is an equal one that was not added, and it may as well be the other way round:
    a block that ends as the line above it does could have been put in one line higher. 0 if there is none.
    """

    number: int
    before: int
    behind: int
    twin: int
    text: Text


@dataclass(frozen=True)
class Additions:
    """path -> the lines that were added to it, in order; `limits`: key -> how many of it were written.

    A key that is missing in `limits` was written as often as it was added. `cut`: it added more than MOST_ROWS. `gone`
    are the keys of short lines of which it removed more than it added.
    """

    files: Mapping[bytes, Sequence[Row]]
    limits: Mapping[int, int]
    cut: bool = False
    gone: frozenset[int] = frozenset()


NOTHING: Final = Additions({}, {})


def text_of(line: bytes) -> Text:
    bare = b"".join(line.split())
    if not bare:
        return BLANK
    whole = zlib.crc32(line.rstrip(b"\r"))
    joined = bare.translate(_QUOTES, b",")
    return Text(_key(bare), whole, len(bare.translate(None, _NO_WORD)), len(joined), int.from_bytes(joined) % MODULUS)


def brief(line: bytes) -> Text:
    """As `text_of`, without length and hash."""
    bare = b"".join(line.split())
    if not bare:
        return BLANK
    return Text(_key(bare), zlib.crc32(line.rstrip(b"\r")), len(bare.translate(None, _NO_WORD)), 0, 0)


class Texts(dict[bytes, Text]):
    """`brief` of each line that is asked for: of equal lines once."""

    def __missing__(self, line: bytes) -> Text:
        text = self[line] = brief(line)
        return text


def _key(bare: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(bare, digest_size=8).digest())


BLANK: Final = Text(_key(b""), 0, 0, 0, 0)


def of_patch(patch: bytes) -> Additions:
    """What a patch of git's adds, as `git diff-tree -p` prints it. Its hunks are counted, not searched for an end."""
    lines = patch.split(b"\n")
    files: dict[bytes, list[Row]] = {}
    removed: Counter[int] = Counter()
    short: set[int] = set()  # of those removed
    at, path, count = 0, b"", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(b"diff --git "):
            path = b""
        elif line.startswith(b"+++ "):
            path = _path(line[4:])
        elif (head := _HEAD.match(line)) is not None:
            left = [1 if head[1] is None else int(head[1]), 1 if head[3] is None else int(head[3])]
            rows, at = _hunk(lines, at + 1, int(head[2]), left, removed, short)
            if path and count + len(rows) <= MOST_ROWS:
                files.setdefault(path, []).extend(rows)
            count += len(rows)
            continue
        at += 1
    added = Counter(row.text.key for rows in files.values() for row in rows)
    limits = {key: max(0, added[key] - number) for key, number in removed.items() if key in added}
    gone = frozenset(key for key in short if removed[key] > added[key])
    return Additions(files, limits, count > MOST_ROWS, gone)


def _hunk(
    lines: Sequence[bytes], at: int, number: int, left: list[int], removed: Counter[int], short: set[int]
) -> tuple[list[Row], int]:
    """(the lines that a hunk adds, where the next one begins); `left`: how many old and new lines it has."""
    texts: list[Text] = []
    added: list[int] = []
    while (left[0] > 0 or left[1] > 0) and at < len(lines):
        line = lines[at]
        at += 1
        sign = line[:1]
        if sign == b"\\":  # "\ No newline at end of file"
            continue
        text = text_of(line[1:])
        if sign == b"-":
            removed[text.key] += 1
            if 0 < text.words < SHORT:
                short.add(text.key)
            left[0] -= 1
            continue
        if sign == b"+":
            added.append(len(texts))
        else:
            left[0] -= 1
        left[1] -= 1
        texts.append(text)
    keys = [EDGE, *(text.key for text in texts), EDGE]
    twins = _twins(keys[1:-1], added)
    return [Row(number + i, keys[i], keys[i + 2], twins.get(i, 0), texts[i]) for i in added], at


def _twins(keys: Sequence[int], added: Sequence[int]) -> dict[int, int]:
    """The lines of a hunk that were added -> how far away the one is that may be meant as well."""
    twins: dict[int, int] = {}
    at = 0
    while at < len(added):
        end = at + 1
        while end < len(added) and added[end] == added[end - 1] + 1:
            end += 1
        first, last, size = added[at], added[end - 1], end - at
        for i in range(last, first - 1, -1):  # as far as it could have been put in higher
            if i - size < 0 or keys[i - size] != keys[i]:
                break
            twins[i] = -size
        for i in range(first, last + 1):
            if i + size >= len(keys) or keys[i + size] != keys[i]:
                break
            twins.setdefault(i, size)
        at = end
    return twins


def _path(word: bytes) -> bytes:
    """The path behind `+++ `, empty for a file that is gone."""
    name = unquoted(word.removesuffix(b"\t"))
    return name[2:] if name.startswith(b"b/") else b""


def unquoted(word: bytes) -> bytes:
    """A path as git prints it: in C's quotes if it holds a quote, a backslash or a control character."""
    if not (word.startswith(b'"') and word.endswith(b'"') and len(word) > 1):
        return word
    return re.sub(
        rb"\\([0-7]{3}|.)",
        lambda found: bytes([int(found[1], 8) & 255]) if len(found[1]) == 3 else _ESCAPES.get(found[1], found[1]),
        word[1:-1],
    )


def patches(out: bytes, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
    """Each of `pairs` with its patch, out of what `git diff-tree --stdin` has printed for them all, in their order.

    A pair that differs in nothing has an empty one. No line of a patch is a pair's head: it begins with a sign.
    """
    at = 0
    for pair in pairs:
        head = b"%s %s\n" % (pair[0].encode(), pair[1].encode())
        if not out.startswith(head, at):
            yield pair, b""
            continue
        begin = at + len(head)
        found = _NEXT.search(out, begin)
        at = found.start() if found else len(out)
        yield pair, out[begin:at]


_NEXT: Final = re.compile(rb"^[0-9a-f]{40,64} [0-9a-f]{40,64}$", re.MULTILINE)
