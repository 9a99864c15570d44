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
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gitrelay.audit.steps import parse_commit
from gitrelay.errors import Busy, IntegrityError, RelayError, UsageError
from gitrelay.git.repository import BRING_BACK, FILE_MODE, GitError, Identity, Repository, TreeEntry
from gitrelay.ledger.snapshot import Snapshot
from gitrelay.ledger.worktree import SessionWorktree, folder_of
from gitrelay.protocol import names
from gitrelay.protocol.check import CheckResult
from gitrelay.protocol.message import (
    FILE,
    MAX_BYTES,
    PROTOCOL,
    BadMessage,
    Request,
    Response,
    check_file,
    parse_request,
    parse_response,
    request_file,
    response_file,
)
from gitrelay.state.folder import State, cannot_write, write_whole

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

BRANCHES: Final = "refs/heads/relay/"
ARCHIVE: Final = "refs/relay/archive/"
ASIDE: Final = "refs/relay/aside/"
REDACTED: Final = "Relay-Redacted"  # the trailer that counts what was taken out
BINDING: Final = "Relay-Review-"  # begins the trailers that bind a request to commits; its answer repeats them
SUBJECT_TASK: Final = 60  # characters of the task in a request's subject
_LOCK_LIMIT: Final = 30.0  # seconds; one write takes about 15 ms


@dataclass(frozen=True)
class Tip:
    """The state of a session: its last commit and the files in it.

    `head` is the caller's HEAD when this was read, for the trailer Relay-Head: a commit, or `unborn`. `data` is
    the commit as git holds it, empty where this process has just written it.
    """

    commit: str
    entries: tuple[TreeEntry, ...]
    head: str = "unborn"
    data: bytes = field(default=b"", repr=False, compare=False)

    @property
    def binding(self) -> dict[str, str]:
        """What a request that waits for its answer is bound to, trailer by trailer."""
        if BINDING.encode() not in self.data:
            return {}
        commit = parse_commit(self.commit, self.data, "", ())
        return {key: value for key, value in commit.trailers.items() if key.startswith(BINDING)} if commit else {}

    @property
    def ids(self) -> list[str]:
        """The ids of all requests, in turn order; a one-shot's own id comes first."""
        ids = {m[1] for e in self.entries if (m := FILE.fullmatch(e.name)) and m[2] == "req" and names.is_id(m[1])}
        return sorted(ids, key=lambda i: (names.is_turn(i), int(i) if names.is_turn(i) else 0))

    @property
    def pending(self) -> str | None:
        """The id of the request that has no response, None where all are answered."""
        files = {e.name for e in self.entries}
        return next((i for i in self.ids if response_file(i) not in files), None)

    def checks(self, id_: str) -> int:
        """How many checks of an exchange are recorded."""
        return sum(
            1 for e in self.entries if (m := FILE.fullmatch(e.name)) and m[1] == id_ and m[2].startswith("check")
        )

    @property
    def next_id(self) -> str:
        ids = self.ids
        if not ids:
            return names.turn_id(1)
        return names.turn_id(int(ids[-1]) + 1 if names.is_turn(ids[-1]) else 2)


def open_ledger(folder: Path) -> Ledger:
    """The ledger of the repository that `folder` is in. Raises UsageError where there is none."""
    return Ledger(Repository.open(folder))


class Ledger:
    """The relay branches of one repository, for a caller in one of its working trees."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.state = State(repo.common_dir, self._configured)

    def _configured(self) -> Redactor:
        from gitrelay.calls import settings

        return settings.redactor(self.repo)

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of text. Raises UsageError for a bad pattern of the user's."""
        return self.state.redactor

    @contextlib.contextmanager
    def session(self, name: str, *, limit: float = _LOCK_LIMIT) -> Iterator[Session]:
        """The session under its lock. Raises Busy where the lock cannot be had within `limit` seconds."""
        self.state.prepare()
        with self.state.lock(name) as lock:
            lock.acquire(limit, what=f"session {name}")
            yield Session(self, name)

    def tip(self, session: str, *, archived: bool = False) -> Tip | None:
        """The session's tip without its lock. Raises IntegrityError where the ref is not a commit."""
        return self.tips([(ARCHIVE if archived else BRANCHES) + session])[0]

    def tips(self, revs: Sequence[str]) -> list[Tip | None]:
        """The state at each of `revs` (full ref names or commit ids), None for what is missing: one git process."""
        head, *found = self.repo.objects(["HEAD", *(name for rev in revs for name in (rev, f"{rev}^{{tree}}"))])
        tips: list[Tip | None] = []
        for i, rev in enumerate(revs):
            commit, tree = found[2 * i], found[2 * i + 1]
            if commit is None:
                tips.append(None)
                continue
            if commit.kind == "commit" and tree is None:
                raise IntegrityError(f"the tree of {rev} is gone from the repository", hint=BRING_BACK, code="damaged")
            if commit.kind != "commit" or tree is None:
                raise IntegrityError(
                    f"{rev} is not a session: it is a {commit.kind}",
                    hint="'git show-ref' tells what it is",
                    code="not-a-session",
                )
            entries = tuple(self.repo.tree_entries(tree.data))
            tips.append(Tip(commit.oid, entries, head.oid if head else "unborn", commit.data))
        return tips

    def place_of(self, address: names.Address) -> Path:
        """Where the request's file stands in the session's worktree, while there is one."""
        return folder_of(self.repo, address.session) / request_file(address.id)

    def taken(self, prefix: str) -> set[str]:
        """The names of sessions, archived ones too, that begin with `prefix`."""
        rows = self.repo.each_ref("%(refname)", f"{BRANCHES}{prefix}*", f"{ARCHIVE}{prefix}*")
        return {row[0].removeprefix(BRANCHES).removeprefix(ARCHIVE) for row in rows}

    def archive(self, session: str, *, restore: bool = False) -> None:
        """Move a session's branch to `refs/relay/archive/`, or back. Raises UsageError, Busy."""
        source, target = (ARCHIVE, BRANCHES) if restore else (BRANCHES, ARCHIVE)
        with self.session(session) as held:
            tip = self.tip(session, archived=restore)
            if tip is None:
                raise UsageError(
                    f"there is no {'archived ' if restore else ''}session {names.quote(session)}",
                    hint="'git relay ls' lists the sessions",
                    code="unknown-session",
                )
            if tip.pending and not restore:
                raise Busy(f"session {session} has a turn in flight: {names.Address(session, tip.pending)}")
            if not restore and held.worktree.is_sound():
                held.worktree.restore(tip.entries)
                held.worktree.remove()
            try:
                self.repo.move_refs(
                    [
                        (target + session, tip.commit, self.repo.no_object),
                        (source + session, self.repo.no_object, tip.commit),
                    ],
                    f"{'restore' if restore else 'archive'} {session}",
                )
            except GitError as e:
                raise IntegrityError(f"{target}{session} exists already", hint="compare the two and delete one") from e

    def names_taken_by_user(self) -> None:
        """Raise UsageError where a branch named `relay` stands in the way of `relay/<session>`."""
        if self.repo.ref("refs/heads/relay") is not None:
            raise UsageError(
                "branch 'relay' is in the way: git cannot hold it beside relay/<session>",
                hint="rename it: git branch -m relay <other-name>",
                code="branch-in-the-way",
            )


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
        text = _message(f"open {self.name}", {"Relay-Version": PROTOCOL}, [f"Opened by {opener}."])
        with _uninterrupted(repo):
            root = repo.commit(repo.write_tree([]), [], text, _author(opener))
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
                            code="damaged",
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
            raise UsageError(f"there is a session {names.quote(self.name)} already", code="exists")
        text = _message(f"open {self.name}", {"Relay-Version": PROTOCOL}, [f"Imported by {opener}."])
        tip = Tip(repo.commit(repo.write_tree([]), [], text, _author(opener)), ())
        for value, data, path in files:
            if isinstance(value, Request):
                value, data, counts = redacted_request(self.ledger.redactor, value, data)
                subject, own, author = _of_request(value), {}, value.from_
            else:
                value, data, counts = redacted_response(self.ledger.redactor, value, data)
                subject, own, author = _of_response(value), {"Relay-Recorded": "peer"}, value.from_
            if counts:
                own[REDACTED] = str(sum(counts.values()))
            entry = TreeEntry(FILE_MODE, value.file, self._blob(path, data, changed=bool(counts)))
            entries = tuple(sorted((*tip.entries, entry), key=lambda e: e.name))
            text = _message(subject, _trailers_of(value) | own, [f"Imported by {opener}."])
            tip = Tip(repo.commit(repo.write_tree(entries), [tip.commit], text, _author(author)), entries)
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
                    code="secret-name",
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
            self.notes.append(f"{_told(counts)} in the request, and the peer is not given what stood there")
        own = _trailers_of(request) | {"Relay-Head": tip.head}
        return self._append(
            tip,
            request.file,
            data,
            _of_request(request),
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
            raise UsageError(f"there is no request {address}", code="unknown-exchange")
        if response.file in there:
            raise UsageError(f"{address} is answered already", hint=f"git relay show {address}", code="answered")
        response, data, counts = redacted_response(self.ledger.redactor, response, data)
        own = _trailers_of(response) | {"Relay-Head": tip.head} | tip.binding
        return self._append(
            tip,
            response.file,
            data,
            _of_response(response),
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
        own = {"Relay-Id": id_, "Relay-Check": f"{result.word}: {plain(result.command)}"}
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
                own = {**trailers, "Relay-Tree": files.tree} if files is not None else trailers
                text = _message(subject, own, notes)
                commit = repo.commit(repo.write_tree(entries), [tip.commit], text, _author(author))
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
        before = trailers.get(REDACTED, "0")  # of an answer that was kept redacted, until it could be recorded
        redacted += int(before) if before.isdecimal() else 0
        if redactor.find("\n".join((subject, *trailers.values(), *notes))):
            clean = {key: redactor.redact(value) for key, value in trailers.items()}
            told = [redactor.redact(note) for note in notes]
            redacted += sum(found.total for found in (*clean.values(), *told))
            subject = redactor.redact(subject).text
            trailers = {key: found.text for key, found in clean.items()}
            notes = [found.text for found in told]
        return subject, {**trailers, REDACTED: str(redacted or "")}, notes

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


def redacted_request(
    redactor: Redactor, request: Request, data: bytes | None = None
) -> tuple[Request, bytes, Mapping[str, int]]:
    """(the request, its file, how many secrets each rule took out); `data` is the file as somebody else wrote it.

    Raises UsageError where what stands in their place makes it too large.
    """
    data = request.render() if data is None else data
    found = redactor.redact(data.decode())
    if not found.total:
        return request, data, {}
    data = found.text.encode()
    try:
        clean = parse_request(data, request.session)
        if (clean.id, clean.from_, clean.to) == (request.id, request.from_, request.to):
            return clean, data, found.counts
    except BadMessage as e:
        if len(data) > MAX_BYTES:
            raise UsageError(
                f"the task is too large once it is redacted: {e.why}",
                hint="put the material into a file and refer to it with --file",
                code="task-too-large",
            ) from None
    clean = replace(request, task=redactor.redact(request.task).text)
    return clean, clean.render(), found.counts


def redacted_response(
    redactor: Redactor, response: Response, data: bytes | None = None
) -> tuple[Response, bytes, Mapping[str, int]]:
    """(the response, its file, how many secrets each rule took out); `data` is the file as the peer wrote it.

    Its front matter stays as it is, unless a secret in it cannot be taken out without breaking it: then the known
    keys are all that is left. A body that has become too large by what stands in their place loses its end.
    """
    data = response.render() if data is None else data
    found = redactor.redact(data.decode())
    if not found.total:
        return response, data, {}
    data = found.text.encode()
    known = replace(response, body="")
    with contextlib.suppress(BadMessage):
        clean = parse_response(data)
        if replace(clean, body="") == known:
            return clean, data, found.counts
    reason = response.reason
    if reason is not None and redactor.redact(reason).total:
        reason = "peer-failed"
    body = redactor.redact(response.body).text
    clean = replace(response, body=body, reason=reason)
    room = MAX_BYTES - len(clean.render())
    if room < 0:
        cut = body.encode()[: room - 64].decode("utf-8", "ignore")
        clean = replace(clean, body=cut + "\n[... cut here: redacted, it was too large]")
    return clean, clean.render(), found.counts


def _told(counts: Mapping[str, int]) -> str:
    """`2 secrets were redacted (github-token, password)`."""
    total = sum(counts.values())
    return f"{total} secret{'s were' if total > 1 else ' was'} redacted ({', '.join(sorted(counts))})"


def _of_request(request: Request) -> str:
    return f"req {request.id} {request.from_} -> {request.to}: {_first_line(request.task)}"


def _of_response(response: Response) -> str:
    return f"res {response.re} {response.from_} -> {response.to}: {response.status}, verify {response.verify}"


def _trailers_of(value: Request | Response) -> dict[str, str]:
    """The trailers that repeat a message's front matter."""
    own = {"Relay-From": value.from_, "Relay-To": value.to}
    if isinstance(value, Request):
        return {"Relay-Id": value.id, **own}
    own = {"Relay-Id": value.re, **own, "Relay-Status": value.status, "Relay-Verify": value.verify}
    return own | ({"Relay-Reason": value.reason} if value.reason else {})


def _author(slug: str) -> Identity:
    return Identity(slug, f"{slug}@gitrelay.invalid")


def _message(subject: str, trailers: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    paragraphs = [plain(subject)]
    if notes:
        paragraphs.append("\n".join(f"- {plain(note)}" for note in notes) if len(notes) > 1 else plain(notes[0]))
    paragraphs.append("\n".join(f"{key}: {plain(value)}" for key, value in trailers.items() if value))
    return "\n\n".join(paragraphs) + "\n"


def plain(text: str, limit: int = 1000) -> str:
    """`text` as one line without control or format characters: nothing in it can begin a trailer or move a cursor."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") else c for c in text[: 4 * limit])
    return " ".join(spaced.split())[:limit]


def _first_line(task: str) -> str:
    line = next((line for line in task.splitlines() if line.strip()), "")
    return plain(line)[:SUBJECT_TASK].rstrip()


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
