"""What each turn changed in the caller's files, read for many turns at once and cut to what a page can hold.

Processes: one for the lists of files, one for the sizes of their contents, one for the patches, and one more
for each turn that is too large to be shown whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitrelay.git import userfiles
from gitrelay.git.repository import Repository
from gitrelay.git.userfiles import Blobs, Change
from gitrelay.report import hunks
from gitrelay.report.hunks import Row
from gitrelay.report.words import plain

FILES_MAX: Final = 200  # files of a turn that are listed
FILE_LINES: Final = 600  # changed lines of a file that is shown
TURN_LINES: Final = 2000  # changed lines that are shown of a turn
BLOB_MAX: Final = 1024 * 1024  # bytes of a file that is looked into
FOLDED_LINES: Final = 1000  # unchanged lines that can be unfolded of a turn

Pair = tuple[str, str]


@dataclass(frozen=True)
class File:
    """One changed file. `rows` are its diff, `cut` says why there is none."""

    path: str
    state: str
    added: int | None
    deleted: int | None
    rows: tuple[Row, ...] = ()
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
    patches = dict(zip(whole, userfiles.patches(repo, whole, context=hunks.CONTEXT), strict=True))
    for pair, why in reasons.items():
        if any(why):
            paths = [b.change.path for b, cut in zip(listed[pair], why, strict=False) if not cut]
            patches[pair] = userfiles.patches(repo, [pair], paths, context=hunks.CONTEXT)[0] if paths else {}
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
    room = FOLDED_LINES
    for b, cut in zip(blobs[:FILES_MAX], reasons, strict=False):
        change = b.change
        patch = None if cut or patches is None else patches.get(change.path)
        why = cut or ("" if patch is not None else "it cannot be read")
        rows, room = ([], room) if patch is None else hunks.folded(list(hunks.rows(patch)), room)
        files.append(File(_name(change.path), change.state, change.added, change.deleted, tuple(rows), why))
    all_ = tuple(b.change for b in blobs)
    added, deleted = sum(c.added or 0 for c in all_), sum(c.deleted or 0 for c in all_)
    return Changes(tuple(files), all_, added, deleted)


def _name(path: str) -> str:
    """A path on one line."""
    return plain(path).replace("\n", "[U+000A]").replace("\t", "[U+0009]")
