"""The patch of one file as numbered rows, with the lines around a change that a page folds away. Pure.

git is asked for CONTEXT lines around each change. NEAR of them are shown, the others can be unfolded, as long as there
is room for them; a page says of the rest how many lines they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gitrelay.report.words import plain

CONTEXT: Final = 20  # lines before and after a change that are read
NEAR: Final = 3  # of them that are shown unfolded, as git itself shows
LINE_MAX: Final = 400  # characters of a line that are shown


class Row(NamedTuple):
    """A line of a diff: its kind, its text without the sign, its number in the old and in the new file (0: none).

    Kinds: `add`, `del`, `same`; `more`, a line that is the same and is folded; `hunk`, where lines are left out: the
    text is git's heading, the numbers are those of the next line; `note`, what git says of the file.
    """

    kind: str
    text: str
    old: int = 0
    new: int = 0


_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,\d+)? \+(\d{1,9})(?:,\d+)? @@ ?")
_HEADS: Final = ("old mode ", "new mode ", "new file mode ", "deleted file mode ")
_USUAL: Final = ("new file mode 100644", "deleted file mode 100644")


def rows(patch: bytes) -> Iterator[Row]:
    """The rows of one file's patch, without the header that only repeats its name."""
    in_hunk = False
    old = new = 0
    for line in patch.decode("utf-8", "replace").split("\n"):
        if line.startswith("diff --git "):
            in_hunk = False
        elif line.startswith("@@"):
            found = _HUNK.match(line)
            in_hunk = True
            old, new = (int(found[1]), int(found[2])) if found else (0, 0)
            yield Row("hunk", _shown(line[found.end() :] if found else line), old, new)
        elif in_hunk and line:
            sign, text = line[0], _shown(line[1:].removesuffix("\r"))
            if sign == "+":
                yield Row("add", text, 0, new)
                new += 1
            elif sign == "-":
                yield Row("del", text, old, 0)
                old += 1
            elif sign == "\\":
                yield Row("note", text.strip())
            else:
                yield Row("same", text, old, new)
                old, new = old + 1, new + 1
        elif line.startswith(_HEADS) and not line.startswith(_USUAL):
            yield Row("note", line)


def folded(given: Sequence[Row], room: int) -> tuple[list[Row], int]:
    """The rows with what is far from a change as `more`, or left out if there is no room; the room that is left."""
    found: list[Row] = []
    at = 0
    while at < len(given):
        if given[at].kind != "same":
            found.append(given[at])
            at += 1
            continue
        end = at
        while end < len(given) and given[end].kind == "same":
            end += 1
        first = at + (0 if at == 0 or given[at - 1].kind == "hunk" else NEAR)
        last = end - (0 if end == len(given) or given[end].kind == "hunk" else NEAR)
        if last - first < 2:  # a fold of one line is no shorter than the line
            first = last = end
        found += given[at:first]
        if last - first <= room:
            room -= last - first
            found += [row._replace(kind="more") for row in given[first:last]]
        elif last < end:
            heading = found.pop().text if found and found[-1].kind == "hunk" else ""
            found.append(Row("hunk", heading, given[last].old, given[last].new))
        found += given[last:end]
        at = end
    return found, room


def _shown(line: str) -> str:
    """The text of a line on one line: a carriage return within it is spelt out."""
    more = len(line) - LINE_MAX
    text = plain(line[:LINE_MAX].replace("\r", "[U+000D]"))
    return f"{text} \u2026 {more:,} more characters" if more > 0 else text
