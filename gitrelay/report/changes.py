"""What each turn changed in the caller's files, read for many turns at once and cut to what a page can hold.

Processes: one for the lists of files, one for the sizes of their contents, one for the patches, and one more
for each turn that is too large to be shown whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.git import userfiles
from gitrelay.git.repository import Repository
from gitrelay.git.userfiles import Blobs, Change
from gitrelay.report.markdown import plain

FILES_MAX: Final = 200  # files of a turn that are listed
FILE_LINES: Final = 600  # changed lines of a file that is shown
TURN_LINES: Final = 2000  # changed lines that are shown of a turn
BLOB_MAX: Final = 1024 * 1024  # bytes of a file that is looked into
LINE_MAX: Final = 400  # characters of a line that are shown

Pair = tuple[str, str]


@dataclass(frozen=True)
class File:
    """One changed file. `lines` are (kind, text): `add`, `del`, `hunk`, `same`, `note`; `cut` says why none."""

    path: str
    state: str
    added: int | None
    deleted: int | None
    lines: tuple[tuple[str, str], ...] = ()
    cut: str = ""


@dataclass(frozen=True)
class Changes:
    """All files that differ, as `changes`; the first of them as they are shown, `files`. Sums are of lines."""

    files: tuple[File, ...] = ()
    changes: tuple[Change, ...] = ()
    added: int = 0
    deleted: int = 0

    @property
    def count(self) -> int:
        return len(self.changes)

    @property
    def left_out(self) -> int:
        return self.count - len(self.files)


NOTHING: Final = Changes()


def read(repo: Repository, pairs: Sequence[Pair]) -> dict[Pair, Changes]:
    """The changes of each pair of trees; a pair that is not in this clone is left out."""
    found = {pair: NOTHING for pair in pairs if pair[0] == pair[1]}
    wanted = list(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))
    listed = {
        p: blobs for p, blobs in zip(wanted, userfiles.each_changes(repo, wanted), strict=True) if blobs is not None
    }
    sizes = userfiles.sizes(
        repo, [oid for blobs in listed.values() for b in blobs[:FILES_MAX] for oid in (b.before, b.after)]
    )
    reasons = {pair: _reasons(blobs, sizes) for pair, blobs in listed.items()}
    whole = [pair for pair, why in reasons.items() if not any(why)]
    patches = dict(zip(whole, userfiles.patches(repo, whole), strict=True))
    for pair, why in reasons.items():
        if any(why):
            paths = [b.change.path for b, cut in zip(listed[pair], why, strict=False) if not cut]
            patches[pair] = userfiles.patches(repo, [pair], paths)[0] if paths else {}
    for pair, blobs in listed.items():
        found[pair] = _changes(blobs, reasons[pair], patches[pair])
    return found


def _reasons(blobs: Sequence[Blobs], sizes: Mapping[str, int]) -> list[str]:
    """Why each of the first files is not shown, empty if it is."""
    reasons = []
    room = TURN_LINES
    for b in blobs[:FILES_MAX]:
        lines = (b.change.added or 0) + (b.change.deleted or 0)
        if b.change.added is None:
            reasons.append("binary")
        elif max(sizes.get(b.before, 0), sizes.get(b.after, 0)) > BLOB_MAX:
            reasons.append("a large file")
        elif lines > FILE_LINES:
            reasons.append(f"{lines:,} changed lines")
        elif lines > room:
            reasons.append("much changed in this turn")
        elif "\ufffd" in b.change.path:
            reasons.append("its name is not UTF-8")
        else:
            room -= lines
            reasons.append("")
    return [*reasons, "many files"] if len(blobs) > FILES_MAX else reasons


def _changes(blobs: Sequence[Blobs], reasons: Sequence[str], patches: Mapping[str, bytes] | None) -> Changes:
    files = []
    for b, cut in zip(blobs[:FILES_MAX], reasons, strict=False):
        change = b.change
        patch = None if cut or patches is None else patches.get(change.path)
        why = cut or ("" if patch is not None else "it cannot be read")
        lines = () if patch is None else tuple(_lines(patch))
        files.append(File(_name(change.path), change.state, change.added, change.deleted, lines, why))
    all_ = tuple(b.change for b in blobs)
    added, deleted = sum(c.added or 0 for c in all_), sum(c.deleted or 0 for c in all_)
    return Changes(tuple(files), all_, added, deleted)


def _name(path: str) -> str:
    """A path on one line."""
    return plain(path).replace("\n", "[U+000A]").replace("\t", "[U+0009]")


_KINDS: Final = {"+": "add", "-": "del", "@": "hunk", " ": "same", "\\": "note"}
_HEADS: Final = ("old mode ", "new mode ", "new file mode ", "deleted file mode ")


def _lines(patch: bytes) -> Iterator[tuple[str, str]]:
    """The lines of one file's patch, without the header that only repeats its name."""
    in_hunk = False
    for line in patch.decode("utf-8", "replace").split("\n"):
        if line.startswith("diff --git "):
            in_hunk = False
        elif line.startswith("@@"):
            in_hunk = True
            yield "hunk", _shown(line)
        elif in_hunk and line:
            yield _KINDS.get(line[0], "same"), _shown(line.removesuffix("\r"))
        elif line.startswith(_HEADS) and not line.startswith(("new file mode 100644", "deleted file mode 100644")):
            yield "note", line


_HUNK: Final = re.compile(r"@@ -(\d{1,9})(?:,\d+)? \+(\d{1,9})")


def numbered(lines: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, int]]:
    """(kind, text, line number) of each line: that in the new file, of a removed line that in the old one; 0: none."""
    old = new = 0
    for kind, text in lines:
        at = 0
        if kind == "hunk":
            found = _HUNK.match(text)
            old, new = (int(found[1]), int(found[2])) if found else (0, 0)
        elif kind == "del":
            at, old = old, old + 1
        elif kind in ("add", "same"):
            at, new = new, new + 1
            old += kind == "same"
        yield kind, text, at


def _shown(line: str) -> str:
    if len(line) > LINE_MAX:
        return plain(line[:LINE_MAX]) + f" \u2026 {len(line) - LINE_MAX:,} more characters"
    return plain(line)
