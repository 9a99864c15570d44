"""The ledger: the branches `relay/<session>`. The only room that moves them.

Invariants, each held by the way a write is made:
- a session begins with a root commit of the empty tree; after it, one commit adds one file;
- the new tree is the parent's tree plus that file, never what stands in a worktree's index, so nothing
  else can be swept in;
- a branch moves by compare-and-swap, under the session's lock, and only forward;
- a request is answered exactly once, and the next request waits for that answer;
- what is written has passed through redaction: files, subjects, trailers, notes. Nothing else writes objects.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gitrelay.errors import Busy, Code, IntegrityError, RelayError, UsageError
from gitrelay.git.faults import BRING_BACK, GitError
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.git.repository import Repository
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.ledger.redaction import counted, redacted_request, redacted_response
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.ledger.worktree import SessionWorktree
from gitrelay.protocol import names
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.message import PROTOCOL, Request, Response, check_file, request_file, response_file
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
from gitrelay.state.files import cannot_write, write_whole
from gitrelay.text import plain, quote

_LOCK_LIMIT: Final = 30.0  # seconds; one write takes about 15 ms


@contextlib.contextmanager
def locked(ledger: Ledger, name: str, *, limit: float = _LOCK_LIMIT) -> Iterator[Session]:
    """The session under its lock. Raises Busy if the lock cannot be had within `limit` seconds."""
    ledger.state.prepare()
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
        self._opened = ""  # the root commit, where this holder of the lock made it

    def tip(self) -> Tip | None:
        return self.ledger.tip(self.name)

    def open(self, opener: str, head: str = "unborn") -> Tip | None:
        """Create the branch with its root commit; None where it exists already. `opener` is the caller's slug."""
        repo = self.ledger.repo
        self._refuse_secret_names(opener)
        text = commit_message(f"open {self.name}", {Trailer.VERSION: PROTOCOL}, [f"Opened by {opener}."])
        with _uninterrupted(repo):
            root = repo.commit(repo.write_tree([]), [], text, author_of(opener))
            try:
                repo.move_refs([(self.ref, root, repo.no_object)], f"open {self.name}")
            except GitError:
                if self.tip() is None:
                    self.ledger.names_taken_by_user()
                    lost = repo.ref(self.ref)
                    if lost is not None:
                        raise IntegrityError(
                            f"the last commit of session {self.name} is gone: {lost}",
                            hint=BRING_BACK,
                            code=Code.DAMAGED,
                        ) from None
                    raise
                return None
        self._opened = root
        return Tip(root, (), head)

    def adopt(self, opener: str, files: Sequence[tuple[Request | Response, bytes, Path]]) -> Tip:
        """A whole session of messages that were written elsewhere, oldest first; all of them or, on an error, none.

        Raises UsageError where a session of that name exists, archived or not.
        """
        repo = self.ledger.repo
        self._refuse_secret_names(opener, *(slug for value, _, _ in files for slug in (value.from_, value.to)))
        if any(self.ledger.tips([self.ref, ARCHIVE + self.name])):
            raise UsageError(f"there is a session {quote(self.name)} already", code=Code.EXISTS)
        text = commit_message(f"open {self.name}", {Trailer.VERSION: PROTOCOL}, [f"Imported by {opener}."])
        tip = Tip(repo.commit(repo.write_tree([]), [], text, author_of(opener)), ())
        for value, data, path in files:
            if isinstance(value, Request):
                value, data, counts = redacted_request(self.ledger.redactor, value, data)
                subject, own, author = of_request(value), {}, value.from_
            else:
                value, data, counts = redacted_response(self.ledger.redactor, value, data)
                subject, own, author = of_response(value), {Trailer.RECORDED: "peer"}, value.from_
            if counts:
                own[Trailer.REDACTED] = str(sum(counts.values()))
            entry = TreeEntry(FILE_MODE, value.file, self._blob(path, data, changed=bool(counts)))
            entries = tuple(sorted((*tip.entries, entry), key=lambda e: e.name))
            text = commit_message(subject, trailers_of(value) | own, [f"Imported by {opener}."])
            tip = Tip(repo.commit(repo.write_tree(entries), [tip.commit], text, author_of(author)), entries)
        try:
            repo.move_refs([(self.ref, tip.commit, repo.no_object)], f"import {self.name}")
        except GitError:
            self.ledger.names_taken_by_user()
            raise
        return tip

    def _blob(self, path: Path, data: bytes, *, changed: bool) -> str:
        """Store the file at `path`, or, where redaction has changed it, `data` in its place."""
        if not changed:
            return self.ledger.repo.write_blob(path, data)
        copy = self.ledger.state.root / f"import-{self.name}"
        try:
            write_whole(copy, data)
            return self.ledger.repo.write_blob(copy, data)
        except OSError as e:
            raise cannot_write(copy, e) from e
        finally:
            copy.unlink(missing_ok=True)

    def _refuse_secret_names(self, *slugs: str) -> None:
        """Raise UsageError where a name that becomes a ref or an author is a secret: it cannot be redacted."""
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
        files: Snapshot | None = None,
        synchronise: bool = True,
    ) -> Tip:
        """Record a request. Raises Busy where the session's last request is not answered yet."""
        if tip.pending is not None:
            raise Busy(f"session {self.name} has a turn in flight: {names.Address(self.name, tip.pending)}")
        self._refuse_secret_names(request.from_, request.to)
        request, data, counts = redacted_request(self.ledger.redactor, request)
        if counts:
            self.notes.append(f"{counted(counts)} in the request, and the peer is not given what stood there")
        own = trailers_of(request) | {Trailer.HEAD: tip.head}
        return self._append(
            tip,
            request.file,
            data,
            of_request(request),
            own | dict(trailers),
            request.from_,
            redacted=sum(counts.values()),
            files=files,
            synchronise=synchronise,
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
        """Record a response; `data` is the file as the peer wrote it, where it wrote one.

        It is bound to what its request is bound to. Raises UsageError where the request does not exist or is
        answered already.
        """
        there = {entry.name for entry in tip.entries}
        address = names.Address(self.name, response.re)
        if request_file(response.re) not in there:
            raise UsageError(f"there is no request {address}", code=Code.UNKNOWN_EXCHANGE)
        if response.file in there:
            raise UsageError(f"{address} is answered already", hint=f"git relay show {address}", code=Code.ANSWERED)
        response, data, counts = redacted_response(self.ledger.redactor, response, data)
        own = trailers_of(response) | {Trailer.HEAD: tip.head} | tip.binding
        return self._append(
            tip,
            response.file,
            data,
            of_response(response),
            own | dict(trailers),
            response.from_,
            redacted=sum(counts.values()),
            notes=notes,
            files=files,
            synchronise=synchronise,
        )

    def append_check(self, tip: Tip, id_: str, result: CheckResult, *, files: Snapshot | None) -> Tip:
        """Record what gitrelay itself saw when it ran a check after the answer to `id_`; its author is gitrelay."""
        redact = self.ledger.redactor.redact
        command, output = redact(result.command), redact(result.output)
        result = replace(result, command=command.text, output=output.text)
        name = check_file(id_, tip.checks(id_) + 1)
        own = {Trailer.ID: id_, Trailer.CHECK: f"{result.word}: {plain(result.command)}"}
        subject = f"chk {id_} {result.word}: {plain(result.command)[:SUBJECT_TASK].rstrip()}"
        return self._append(
            tip,
            name,
            result.render(id_, files.tree if files else None),
            subject,
            own,
            "gitrelay",
            redacted=command.total + output.total,
            files=files,
        )

    def _append(
        self,
        tip: Tip,
        name: str,
        data: bytes,
        subject: str,
        trailers: Mapping[str, str],
        author: str,
        *,
        redacted: int = 0,
        notes: Sequence[str] = (),
        files: Snapshot | None = None,
        synchronise: bool = True,
    ) -> Tip:
        """Write a file whose `redacted` secrets are taken out already; the words about it are redacted here."""
        repo = self.ledger.repo
        subject, trailers, notes = self._redacted_words(subject, trailers, notes, redacted)
        self.notes += self.worktree.ensure(tip.entries, fresh=tip.commit == self._opened)
        with _uninterrupted(repo):
            path = self.worktree.write(name, data)
            try:
                blob = repo.write_blob(path, data)
                entries = tuple(sorted((*tip.entries, TreeEntry(FILE_MODE, name, blob)), key=lambda e: e.name))
                kept = files.keep(repo, self.name, subject) if files is not None else []
                own = {**trailers, Trailer.TREE: files.tree} if files is not None else trailers
                text = commit_message(subject, own, notes)
                commit = repo.commit(repo.write_tree(entries), [tip.commit], text, author_of(author))
                repo.move_refs([(self.ref, commit, tip.commit), *kept], subject)
            except BaseException:
                with contextlib.suppress(OSError):
                    path.unlink()
                raise
            if synchronise:
                self.worktree.synchronise(entries)
        return Tip(commit, entries, tip.head)

    def _redacted_words(
        self, subject: str, trailers: Mapping[str, str], notes: Sequence[str], redacted: int
    ) -> tuple[str, Mapping[str, str], Sequence[str]]:
        """Subject, trailers and notes without secrets, and in the trailers how many were taken out in all."""
        redactor = self.ledger.redactor
        before = trailers.get(Trailer.REDACTED, "0")  # of an answer that was kept redacted, until it could be recorded
        redacted += int(before) if before.isdecimal() else 0
        if redactor.find("\n".join((subject, *trailers.values(), *notes))):
            clean = {key: redactor.redact(value) for key, value in trailers.items()}
            told = [redactor.redact(note) for note in notes]
            redacted += sum(found.total for found in (*clean.values(), *told))
            subject = redactor.redact(subject).text
            trailers = {key: found.text for key, found in clean.items()}
            notes = [found.text for found in told]
        return subject, {**trailers, Trailer.REDACTED: str(redacted or "")}, notes

    def put_back(self, tip_commit: str) -> list[str]:
        """Undo what a peer did to the branch: back to `tip_commit`; foreign commits stay under refs/relay/aside/."""
        repo = self.ledger.repo
        now = repo.ref(self.ref)
        if now == tip_commit:
            return []
        moves = [(self.ref, tip_commit, now or repo.no_object)]
        note = f"the branch {self.ref.removeprefix('refs/heads/')} had been deleted and was put back"
        if now is not None:
            kept = f"{ASIDE}{self.name}/{now[:12]}"
            if repo.ref(kept) is None:
                moves.append((kept, now, repo.no_object))
            note = f"the branch had been moved by somebody else and was put back; the foreign commits are at {kept}"
        repo.move_refs(moves, f"put back {self.name}")
        return [note]


def is_own_append(repo: Repository, before: Tip, now: Tip) -> bool:
    """Whether `now` is `before` plus one response that the ledger wrote (a peer that ran `git relay res`)."""
    added = set(now.entries) - set(before.entries)
    commit = repo.objects([now.commit])[0]
    if commit is None or len(added) != 1 or not set(before.entries) <= set(now.entries):
        return False
    headers, _, text = commit.data.decode("utf-8", "replace").partition("\n\n")
    parents = [line.split()[1] for line in headers.splitlines() if line.startswith("parent ")]
    return (
        parents == [before.commit]
        and next(iter(added)).name == response_file(before.pending or "")
        and f"\nRelay-Id: {before.pending}\n" in text
        and "\nRelay-Recorded: peer\n" in text
    )


@contextlib.contextmanager
def _uninterrupted(repo: Repository) -> Iterator[None]:
    """Ctrl-C waits for the few milliseconds of a write; git's processes inherit the mask, so none dies half-way.

    Not while signing: a passphrase prompt must be interruptible, and a signature that fails moves nothing.
    """
    if repo.signs or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
