"""The static site: an index, a page for each session, the figures; or one page that holds a few sessions.

Sessions are read and rendered in batches, in several processes if there are many.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code, IntegrityError, RelayError, UsageError
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote_path
from gitrelay.history import batch
from gitrelay.history.batch import Batch
from gitrelay.ledger.ledger import Ledger
from gitrelay.process import pool
from gitrelay.report import attention, folder, listing, turns
from gitrelay.report.folder import Folder
from gitrelay.report.listing import Entry
from gitrelay.report.pages import Pages
from gitrelay.report.turns import Conversation

FILE_MAX: Final = 2000  # exchanges in one page: some 20 MB, which a browser takes seconds to lay out
BATCH: Final = 100  # exchanges that are read and rendered at a time
_MANY: Final = 400  # exchanges; fewer are rendered before other processes have started


@dataclass(frozen=True)
class Exported:
    """What was written: `files` below `place`, or one file, `place` itself. `damaged` could not be read."""

    place: Path
    files: int
    sessions: int
    exchanges: int
    damaged: Mapping[str, RelayError]


def title_of(repo: Repository) -> str:
    """The repository's name, as its folder has it."""
    common = repo.common_dir
    return common.parent.name if common.name == ".git" else common.name.removesuffix(".git")


def export(ledger: Ledger, sessions: Sequence[str], place: Path, *, force: bool = False) -> Exported:
    """Write these sessions, or all, to the folder `place`. Raises UsageError, CannotRecord; see folder.py."""
    found = batch.read(ledger, sessions)
    wanted = [*found.sessions, *found.damaged]
    pages = Pages(title_of(ledger.repo))
    files = ["index.html", "figures.html", *map(folder.page_of, wanted)]
    target = Folder.begin(place, files, force=force)
    parts = list(_rendered(ledger.repo, found, pages, place))
    entries = listing.latest_first(entry for part in parts for entry in part.entries)
    damaged = {name: why for part in parts for name, why in part.damaged.items()}
    folder.write(place / "figures.html", pages.figures_page(found.exchanges))
    folder.write(place / "index.html", pages.index(entries, attention.running(ledger), attention.rejected(ledger)))
    target.end(files)
    return Exported(place, len(files), len(wanted), len(found.exchanges), damaged)


def export_file(ledger: Ledger, sessions: Sequence[str], place: Path, *, force: bool = False) -> Exported:
    """Write these sessions, or all, to one page. Raises UsageError if they are too many, or see folder.py."""
    folder.check_file(place, force=force)
    found = batch.read(ledger, sessions)
    count = len(found.exchanges)
    if count > FILE_MAX:
        raise UsageError(
            f"{count} exchanges are too many for one page; it holds {FILE_MAX}",
            hint=f"name some sessions, or a folder: -o {quote_path(place.with_suffix(''))}",
            code=Code.TOO_MANY,
        )
    wanted = [*found.sessions, *found.damaged]
    conversations, damaged = turns.read(ledger, wanted) if wanted else ([], {})
    folder.write(place, Pages(title_of(ledger.repo)).together(conversations))
    return Exported(place, 1, len(wanted), count, damaged)


def export_text(
    conversations: Sequence[Conversation], damaged: Mapping[str, RelayError], text: str, place: Path, *, force: bool
) -> Exported:
    """Write what was made of these sessions to a file; only with `force` over one that is there."""
    if place.exists() and not force:
        raise UsageError(f"{quote_path(place)} exists", hint="name another file, or use --force", code=Code.EXISTS)
    folder.write(place, text)
    return Exported(place, 1, len(conversations), sum(len(c.turns) for c in conversations), damaged)


@dataclass(frozen=True)
class _Part:
    """What came of one batch."""

    entries: Sequence[Entry]
    damaged: Mapping[str, IntegrityError]


def _rendered(repo: Repository, found: Batch, pages: Pages, place: Path) -> Iterator[_Part]:
    """Write the page of every session, batch by batch."""
    batches = list(_batches(found))
    count = pool.workers(len(batches)) if len(found.exchanges) >= _MANY else 1
    yield from pool.each(functools.partial(_render, repo, pages, place), batches, count)


def _batches(found: Batch) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in [*found.sessions, *found.damaged]:
        batch.append(name)
        size += 1 + len(found.sessions.get(name, ()))
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _render(repo: Repository, pages: Pages, place: Path, sessions: Sequence[str]) -> _Part:
    try:
        conversations, damaged = turns.read(Ledger(repo), sessions)
    except GitError as e:  # one of git's own cannot be sent from process to process
        raise CannotRecord(e.message, hint=e.hint, code=e.code) from None
    for conversation in conversations:
        folder.write(place / folder.page_of(conversation.name), pages.session(conversation))
    told = {name: IntegrityError(e.message, hint=e.hint, code=e.code) for name, e in damaged.items()}
    return _Part([listing.entry(conversation) for conversation in conversations], told)
