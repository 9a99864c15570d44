"""The ledger: the branches `relay/<session>`. The only module that moves them.

Invariants, each held by the way a write is made:
- a session begins with a root commit of the empty tree; after it, one commit adds one file;
- the new tree is the parent's tree plus that file, never what is in a worktree's index, so nothing
  else can be swept in;
- a branch moves by compare-and-swap, under the session's lock, and only forward;
- a request is answered exactly once, and the next request waits for that answer;
- what is written has passed through redaction: files, subjects, trailers, notes. Nothing else writes objects.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gitrelay.errors import Busy, Code, IntegrityError, RelayError, UsageError
from gitrelay.git import pack
from gitrelay.git.faults import BRING_BACK, Damaged, GitError
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.ground.text import plain, quote, quote_path
from gitrelay.ledger.entry import Entry, Moved
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.redaction import counted, redacted_request, redacted_response
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.ledger.uninterrupted import uninterrupted
from gitrelay.ledger.worktree import SessionWorktree
from gitrelay.protocol import names
from gitrelay.protocol.applied import ApplyResult
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.message import PROTOCOL, Request, Response, apply_file, check_file, request_file
from gitrelay.protocol.record import (
    ARCHIVE,
    ASIDE,
    BRANCHES,
    SUBJECT_TASK,
    Trailer,
    author_of,
    commit_message,
    of_request,
    of_response,
    trailers_of,
)
from gitrelay.state.files import cannot_write

_LOCK_LIMIT: Final = 30.0  # seconds; one write takes about 15 ms
_TRIES: Final = 3  # times that objects are written before their loss is believed


@contextlib.contextmanager
def locked(ledger: Ledger, name: str, *, limit: float = _LOCK_LIMIT) -> Iterator[Session]:
    """The session under its lock. Raises Busy if the lock cannot be had within `limit` seconds."""
    ledger.prepare()
    with ledger.state.lock(name) as lock:
        lock.acquire(limit, what=f"session {name}")
        yield Session(ledger, name)


class Session:
    """One session while its lock is held. Every write of a relay branch goes through `_append` or `open`."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger = ledger
        self.name = name
        self.ref = BRANCHES + name
        self.worktree = SessionWorktree(ledger.repo, ledger.state, name)
        self.notes: list[str] = []
        self._opened = ""  # the root commit, if this holder of the lock made it

    def tip(self) -> Tip | None:
        return self.ledger.tip(self.name)

    def open(self, opener: str, head: str = "unborn") -> Tip | None:
        """Create the branch with its root commit; None if it exists already. `opener` is the caller's slug."""
        repo = self.ledger.repo
        self._refuse_secret_names(opener)
        text = commit_message(f"open {self.name}", {Trailer.VERSION: PROTOCOL}, [f"Opened by {opener}."])
        with uninterrupted(repo):
            root = pack.commit_files(repo, [], [], [], text, author_of(opener))
            try:
                repo.move_refs([(self.ref, root, repo.no_object)], f"open {self.name}")
                if repo.objects([root])[0] is None:  # as in `_commit`
                    lost, root = root, repo.commit(repo.write_tree([]), [], text, author_of(opener))
                    repo.move_refs([(self.ref, root, lost)], f"open {self.name}")
            except GitError:
                if self.tip() is None:
                    self.ledger.names_taken_by_user()
                    gone = repo.ref(self.ref)
                    if gone is not None:
                        raise IntegrityError(
                            f"the last commit of session {self.name} is gone: {gone}",
                            hint=BRING_BACK,
                            code=Code.DAMAGED,
                        ) from None
                    raise
                return None
        self._opened = root
        return Tip(root, (), head)

    def adopt(self, opener: str, files: Sequence[tuple[Request | Response, bytes, Path]]) -> Tip:
        """A whole session of messages that were written elsewhere, oldest first; all of them or, on an error, none.

        Raises UsageError if a session of that name exists, archived or not.
        """
        repo = self.ledger.repo
        self._refuse_secret_names(opener, *(slug for value, _, _ in files for slug in (value.from_, value.to)))
        if any(self.ledger.tips([self.ref, ARCHIVE + self.name])):
            raise UsageError(f"there is a session {quote(self.name)} already", code=Code.EXISTS)
        text = commit_message(f"open {self.name}", {Trailer.VERSION: PROTOCOL}, [f"Imported by {opener}."])
        tip = Tip(repo.commit(repo.write_tree([]), [], text, author_of(opener)), ())
        for value, data, _ in files:
            if isinstance(value, Request):
                value, data, counts = redacted_request(self.ledger.redactor, value, data)
                subject, own, author = of_request(value), {}, value.from_
            else:
                value, data, counts = redacted_response(self.ledger.redactor, value, data)
                subject, own, author = of_response(value), {Trailer.RECORDED: "peer"}, value.from_
            if counts:
                own[Trailer.REDACTED] = str(sum(counts.values()))
            entry = TreeEntry(FILE_MODE, value.file, repo.write_data(data))
            entries = tuple(sorted((*tip.entries, entry), key=lambda e: e.name))
            text = commit_message(subject, trailers_of(value) | own, [f"Imported by {opener}."])
            tip = Tip(repo.commit(repo.write_tree(entries), [tip.commit], text, author_of(author)), entries)
        try:
            repo.move_refs([(self.ref, tip.commit, repo.no_object)], f"import {self.name}")
        except GitError:
            self.ledger.names_taken_by_user()
            raise
        return tip

    def _refuse_secret_names(self, *slugs: str) -> None:
        """Raise UsageError if a name that becomes a ref or an author is a secret: it cannot be redacted."""
        for slug in (self.name, *slugs):
            for rule in self.ledger.redactor.redact(slug).counts:
                raise UsageError(
                    f"the name of a session or an agent looks like a secret ({rule})",
                    hint="names are recorded; use a word of your own",
                    code=Code.SECRET_NAME,
                )

    def abandon(self, root: Tip) -> None:
        """Take back a session that was just opened and holds nothing but its root commit. Never raises."""
        with contextlib.suppress(RelayError, OSError):
            now = self.tip()
            if now is not None and now.commit == root.commit:
                if self.worktree.is_sound():
                    self.worktree.remove()
                self.ledger.repo.move_refs(
                    [(self.ref, self.ledger.repo.no_object, root.commit)], f"abandon {self.name}"
                )

    def append_request(
        self,
        tip: Tip,
        request: Request,
        trailers: Mapping[str, str],
        *,
        notes: Sequence[str] = (),
        files: Snapshot | None = None,
        synchronise: bool = True,
    ) -> Tip:
        """Record a request. Raises Busy if the session's last request is not answered yet."""
        if tip.pending is not None:
            raise Busy(f"session {self.name} has a turn in flight: {names.Address(self.name, tip.pending)}")
        self._refuse_secret_names(request.from_, request.to)
        request, data, counts = redacted_request(self.ledger.redactor, request)
        if counts:
            self.notes.append(f"{counted(counts)} in the request, and the peer is not given them")
        return self._append(
            tip,
            Entry(
                request.file,
                data,
                of_request(request),
                {**trailers_of(request), Trailer.HEAD: tip.head, **trailers},
                request.from_,
                redacted=sum(counts.values()),
                notes=notes,
                files=files,
                synchronise=synchronise,
                needs_worktree=True,
            ),
        )

    def append_response(
        self,
        tip: Tip,
        response: Response,
        trailers: Mapping[str, str],
        *,
        data: bytes | None = None,
        notes: Sequence[str] = (),
        files: Snapshot | None = None,
        synchronise: bool = True,
    ) -> Tip:
        """Record a response; `data` is the file as the peer wrote it, if it wrote one.

        It is bound to what its request is bound to. Raises UsageError if the request does not exist or is
        answered already.
        """
        there = {entry.name for entry in tip.entries}
        address = names.Address(self.name, response.re)
        if request_file(response.re) not in there:
            raise UsageError(f"there is no request {address}", code=Code.UNKNOWN_EXCHANGE)
        if response.file in there:
            raise UsageError(f"{address} is answered already", hint=f"git relay show {address}", code=Code.ANSWERED)
        response, data, counts = redacted_response(self.ledger.redactor, response, data)
        return self._append(
            tip,
            Entry(
                response.file,
                data,
                of_response(response),
                {**trailers_of(response), Trailer.HEAD: tip.head, **tip.binding, **trailers},
                response.from_,
                redacted=sum(counts.values()),
                notes=notes,
                files=files,
                synchronise=synchronise,
            ),
        )

    def append_check(
        self,
        tip: Tip,
        id_: str,
        result: CheckResult,
        trailers: Mapping[str, str] = MappingProxyType({}),
        *,
        files: Snapshot | None,
    ) -> Tip:
        """Record what gitrelay itself saw when it ran a check after the answer to `id_`; its author is gitrelay."""
        redact = self.ledger.redactor.redact
        command, output = redact(result.command), redact(result.output)
        result = replace(result, command=command.text, output=output.text)
        name = check_file(id_, tip.checks(id_) + 1)
        own = {Trailer.ID: id_, Trailer.CHECK: f"{result.word}: {plain(result.command)}"}
        subject = f"chk {id_} {result.word}: {plain(result.command)[:SUBJECT_TASK].rstrip()}"
        return self._append(
            tip,
            Entry(
                name,
                result.render(id_, files.tree if files else None),
                subject,
                own | dict(trailers),
                "gitrelay",
                redacted=command.total + output.total,
                notes=[f"It ran {result.program}."] if result.program else [],
                files=files,
            ),
        )

    def append_apply(
        self, tip: Tip, id_: str, result: ApplyResult, trailers: Mapping[str, str], *, files: Snapshot | None
    ) -> Tip:
        """Record that the changes of an exchange were brought into a working tree, or why not; by who did it."""
        redacted = [self.ledger.redactor.redact(line) for line in result.lines]
        result = replace(result, lines=tuple(one.text for one in redacted))
        name = apply_file(id_, tip.applies(id_) + 1)
        own = {Trailer.ID: id_, **trailers}
        count, subject = sum(one.total for one in redacted), result.subject(id_)
        entry = Entry(name, result.render(id_), subject, own, result.by, redacted=count, files=files, places=False)
        return self._append(tip, entry)

    def _append(self, tip: Tip, entry: Entry) -> Tip:
        """Record one file. Raises Moved if the branch is not at `tip` any more."""
        repo = self.ledger.repo
        placed, notes = False, list[str]()
        if entry.places or os.path.lexists(self.worktree.path):
            placed, notes = self.place(tip, required=entry.needs_worktree)
        self.notes += notes
        left: list[str] = []
        if entry.files is not None:
            left = entry.files.lines
            self.notes += entry.files.told(tip.data.decode("utf-8", "replace"))
        entry = self._redacted(replace(entry, notes=(*entry.notes, *(() if placed else notes), *left)))
        with uninterrupted(repo):
            path = self.worktree.write(entry.name, entry.data) if placed else None
            try:
                written = self._commit(tip, entry)
            except BaseException:
                if path is not None:
                    with contextlib.suppress(OSError):
                        path.unlink()
                raise
            if placed and entry.synchronise:
                self._synchronise(written.entries)
        return replace(written, head=tip.head)

    def place(self, tip: Tip, *, required: bool = False) -> tuple[bool, list[str]]:
        """(whether the session's worktree is in place, holding what `tip` holds; notes on what was not so).

        The branch is the record, the worktree a copy: if it cannot be made, that is a note, unless it is `required`.
        """
        try:
            return True, self.worktree.ensure(tip.entries, fresh=tip.commit == self._opened)
        except (RelayError, OSError) as e:
            if required:
                raise e if isinstance(e, RelayError) else cannot_write(self.worktree.path, e) from e
            why = e.message if isinstance(e, RelayError) else f"{quote_path(self.worktree.path)}: {e.strerror}"
            return False, [f"the session has no worktree now: {why}"]

    def _synchronise(self, entries: Sequence[TreeEntry]) -> None:
        try:
            self.worktree.synchronise(entries)
        except (RelayError, OSError) as e:
            self.notes.append(f"the session's worktree is behind its branch: {getattr(e, 'message', e)}")

    def _commit(self, tip: Tip, entry: Entry) -> Tip:
        """The tip with `entry` after `tip`, where the branch is now; what a `git gc` took meanwhile is written again.

        `git gc --prune=now` deletes what no ref names, and so what was written a moment ago. It may do that until
        the ref has moved, therefore the objects are looked at again then.
        """
        at = tip  # where the branch is
        for left in reversed(range(_TRIES)):
            try:
                written, kept = self._written(tip, entry)
                self._move([(self.ref, written.commit, at.commit), *kept], entry.subject, at)
                at = written
                if self._is_whole(written, entry):
                    break
            except GitError as e:
                if not left or not (isinstance(e, Damaged) or "nonexistent object" in e.stderr):
                    raise
            if entry.files is not None:
                entry = replace(entry, files=entry.files.again(self.name))
        return at

    def _written(self, tip: Tip, entry: Entry) -> tuple[Tip, list[tuple[str, str, str]]]:
        """(the tip that `entry` makes of `tip`, the moves of other refs): objects only, no ref has moved."""
        repo, files = self.ledger.repo, entry.files
        blob = TreeEntry(FILE_MODE, entry.name, repo.object_id("blob", entry.data))
        entries = tuple(sorted((*tip.entries, blob), key=lambda e: e.name))
        kept = files.keep(repo, self.name, entry.subject) if files is not None else []
        own = {**entry.trailers, **files.trailers} if files is not None else entry.trailers
        text = commit_message(entry.subject, own, entry.notes)
        commit = pack.commit_files(repo, entries, [entry.data], [tip.commit], text, author_of(entry.author))
        return Tip(commit, entries), kept

    def _is_whole(self, written: Tip, entry: Entry) -> bool:
        blobs = [found.oid for found in written.entries if found.name == entry.name]
        trees = [entry.files.tree] if entry.files is not None else []
        names = [written.commit, f"{written.commit}^{{tree}}", *blobs, *trees]
        return None not in self.ledger.repo.objects(names)

    def _move(self, moves: Sequence[tuple[str, str, str]], reason: str, tip: Tip) -> None:
        """Move the refs. Raises Moved if the session's branch is not at `tip` any more."""
        repo = self.ledger.repo
        try:
            repo.move_refs(moves, reason)
        except GitError as e:
            if repo.ref(self.ref) != tip.commit:
                raise Moved(f"session {self.name} was changed by another process just now", hint="try again") from e
            if len(moves) == 1 or "nonexistent object" in e.stderr:
                raise
            repo.move_refs(moves[:1], reason)  # the other ref keeps trees alive; who moved it keeps its own

    def _redacted(self, entry: Entry) -> Entry:
        """The entry with words that hold no secrets, and in its trailers how many were taken out in all."""
        redactor = self.ledger.redactor
        before = entry.trailers.get(Trailer.REDACTED, "0")  # of an answer that was kept until it could be recorded
        count = entry.redacted + (int(before) if before.isdecimal() else 0)
        subject, trailers, notes = entry.subject, entry.trailers, entry.notes
        if redactor.find("\n".join((subject, *trailers.values(), *notes))):
            clean = {key: redactor.redact(value) for key, value in trailers.items()}
            told = [redactor.redact(note) for note in notes]
            count += sum(found.total for found in (*clean.values(), *told))
            subject = redactor.redact(subject).text
            trailers = {key: found.text for key, found in clean.items()}
            notes = [found.text for found in told]
        return replace(entry, subject=subject, trailers={**trailers, Trailer.REDACTED: str(count or "")}, notes=notes)

    def put_back(self, tip: Tip, now: str | None, archived: str | None) -> list[str]:
        """Undo what others did to the branch: back to `tip`; foreign commits stay under refs/relay/aside/.

        `now` and `archived` are where its branch and its archived ref are, None if they are not there.
        `tip` is what `growth.grown` gives, so nothing that the ledger wrote is undone. A session that was archived
        with its request open comes back from there.
        """
        repo = self.ledger.repo
        if now == tip.commit:
            return []
        moves = [(self.ref, tip.commit, now or repo.no_object)]
        note = f"the branch {self.ref.removeprefix('refs/heads/')} had been deleted and was put back"
        if now is not None:
            kept = f"{ASIDE}{self.name}/{now[:12]}"
            if repo.ref(kept) is None:
                moves.append((kept, now, repo.no_object))
            note = f"the branch had been moved by somebody else and was put back; the foreign commits are at {kept}"
        elif archived == tip.commit:
            moves.append((ARCHIVE + self.name, repo.no_object, archived))
            note = "the session had been archived while its request was open, and was brought back"
        repo.move_refs(moves, f"put back {self.name}")
        return [note]
