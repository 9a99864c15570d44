"""The static site: an index, a page for each session, the figures; or one page that holds a few sessions.

Sessions are read and rendered in batches, in several processes if there are many.
"""

from __future__ import annotations

import functools
import hashlib
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
from gitrelay.history.exchanges import without_messages
from gitrelay.ledger.ledger import Ledger
from gitrelay.process import pool
from gitrelay.report import attention, commits, earlier, folder, listing, sides, turns
from gitrelay.report.earlier import Note
from gitrelay.report.files import Views, page_of
from gitrelay.report.folder import Folder
from gitrelay.report.listing import Entry
from gitrelay.report.pages import Pages, load
from gitrelay.report.sides import Side
from gitrelay.report.turns import Conversation, Turn

FILE_MAX: Final = 2000  # exchanges in one page: some 20 MB, which a browser takes seconds to lay out
BATCH: Final = 100  # exchanges that are read and rendered at a time
_MANY: Final = 400  # exchanges; fewer are rendered before other processes have started


@dataclass(frozen=True)
class Exported:
    """What was written: `files` below `place`, or one file, `place` itself. `damaged` could not be read.

    `kept` are the pages of sessions that an earlier export wrote, and that are still right.
    """

    place: Path
    files: int
    sessions: int
    exchanges: int
    damaged: Mapping[str, RelayError]
    kept: int = 0


def title_of(repo: Repository) -> str:
    """The repository's name, as its folder has it."""
    common = repo.common_dir
    return common.parent.name if common.name == ".git" else common.name.removesuffix(".git")


def export(
    ledger: Ledger,
    sessions: Sequence[str],
    place: Path,
    *,
    force: bool = False,
    views: Views | None = None,
    paths: Sequence[str] = (),
) -> Exported:
    """Write these sessions, or all, to the folder `place`, and with `views` the pages of the files `paths`.

    Raises UsageError, CannotRecord; see folder.py.
    """
    refs = earlier.refs_of(ledger.repo)  # first: what moves from now on is written again by the next export
    found = batch.read(ledger, sessions)
    wanted = [*found.sessions, *found.damaged]
    own = {path: page_of(path) for path in paths}
    where = commits.template(ledger.repo)
    pages = Pages(title_of(ledger.repo), there=frozenset(wanted), commits=where, files=own)
    files = ["index.html", "figures.html", *map(folder.page_of, wanted), *own.values()]
    target = Folder.begin(place, files, force=force)
    says = "\0".join([pages.site, pages.commits, *own])
    made, before = earlier.made_with(ledger.repo, says), earlier.read(ledger.state, place)
    notes = before.valid(place, made, refs, found.sessions)
    there = [e for name in notes for e in found.sessions[name]]
    for name in without_messages(ledger, there):
        del notes[name]
    kept = len(notes)
    entries = [note.entry for note in notes.values()]
    damaged: dict[str, RelayError] = {}
    unnoted: dict[str, str] = {}
    for part in _rendered(ledger.repo, found, [name for name in wanted if name not in notes], pages, place):
        damaged |= part.damaged
        for one in part.written:
            entries.append(one.entry)
            if one.about is None:
                unnoted[one.entry.name] = one.page
            else:
                notes[one.entry.name] = Note(earlier.depends_on(refs, one.about), one.page, one.entry)
    if views is not None:
        for path, page in own.items():
            folder.write(place / page, pages.file(views.view(path)))
    folder.write(place / "figures.html", pages.figures_page(found.exchanges))
    entries = listing.latest_first(entries)
    folder.write(place / "index.html", pages.index(entries, attention.running(ledger), attention.rejected(ledger)))
    target.end(files, before.pages)
    earlier.write(ledger.state, place, made, notes, unnoted)
    return Exported(place, len(files), len(wanted), len(found.exchanges), damaged, kept)


def export_file(ledger: Ledger, sessions: Sequence[str], place: Path, *, force: bool = False) -> Exported:
    """Write these sessions, or all, to one page. Raises UsageError if they are too many, or see folder.py."""
    folder.check_file(place, force=force)
    where = commits.template(ledger.repo)
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
    folder.write(place, Pages(title_of(ledger.repo), commits=where).together(conversations))
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
class _Written:
    """A page that was written: its hash, its entry of the index, the sessions that it shows something of.

    These are None if the page may come out in another way though nothing of them changes.
    """

    entry: Entry
    page: str
    about: frozenset[str] | None


@dataclass(frozen=True)
class _Part:
    """What came of one batch."""

    written: Sequence[_Written]
    damaged: Mapping[str, IntegrityError]


def _rendered(repo: Repository, found: Batch, wanted: Sequence[str], pages: Pages, place: Path) -> Iterator[_Part]:
    """Write the pages of the sessions `wanted`, batch by batch."""
    batches = list(_batches(found, wanted))
    exchanges = sum(len(found.sessions.get(name, ())) for name in wanted)
    count = pool.workers(len(batches)) if exchanges >= _MANY else 1
    if count > 1:
        load()
    yield from pool.each(functools.partial(_render, repo, pages, place), batches, count)


def _batches(found: Batch, wanted: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in wanted:
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
    written = []
    for conversation in conversations:
        text = pages.session(conversation)
        folder.write(place / folder.page_of(conversation.name), text)
        hash_ = hashlib.sha256(text.encode()).hexdigest()
        written.append(_Written(listing.entry(conversation), hash_, _about(conversation)))
    told = {name: IntegrityError(e.message, hint=e.hint, code=e.code) for name, e in damaged.items()}
    return _Part(written, told)


def _about(conversation: Conversation) -> frozenset[str] | None:
    """The sessions that a page shows something of; None if some of it could not be read, since it may come back."""
    about = {conversation.name}
    for turn in conversation.turns:
        shown: list[Turn | Side] = [turn, *turn.attempts]
        missing = [one for one in shown if one.changes is None and sides.trees(one.exchange)]
        members = sides.named(turn.exchange)
        if missing or len(members) != len(turn.attempts) or not all(run.output for run in turn.checks):
            return None
        about |= {address.session for address in members}
    return None if conversation.fault else frozenset(about)
