"""Searching what was said: every message and every check, in all sessions at once, by one `git grep`.

The tip of a session holds all of its messages, so one tree of the tips holds everything; it is written to a temporary
folder, and the repository stays as it is. There is no index to keep.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.faults import GitError
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.history import batch, commits, exchanges
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.message import FILE
from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, name_of

KINDS: Final = ("req", "res", "check")
PATTERN_MAX: Final = 1000  # characters
_BAD_PATTERN: Final = re.compile(r"(?:-e option|command line), (.*)")  # git's complaint about one
_FEW: Final = 16  # sessions whose commits are read at first; then twice as many
_HEAD_LINES: Final = 9  # a message's front matter is within them
_HEAD: Final = re.compile(rb"(---|(relay|id|re|from|to|status|verify|reason): .*)")
_Raw = tuple[str, list[bytes]]  # the name of a file, and lines of it as git prints them: number, NUL, text
_FOOTER_BEGINS: Final = (b"-", b" ", b"R", b"C", b"F")
# what `message.Request.footer` adds to every request: it would match half of all words
_FOOTER: Final = re.compile(
    rb"---|Reply: \.relay/\S+|Context: read all \.md files in \.relay/\S+ in order first|Format:|  ---"
    rb"|  relay: \d+|  re: \S+|  from: \S+|  to: \S+|  status: done \| error|  verify: pass \| fail \| skip"
    rb"|  \{your response\}"
)


@dataclass(frozen=True)
class Wanted:
    """What is looked for. `kinds` of KINDS, empty for all; `since` in seconds since the epoch; `to` is a peer."""

    pattern: str
    fixed: bool = False
    ignore_case: bool = False
    session: str | None = None
    to: str | None = None
    since: float | None = None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of a message. `file` is its name, as `01.res.md`, `number` counts from 1; `hit`, or only beside one."""

    file: str
    kind: str
    number: int
    text: str
    hit: bool = True


@dataclass(frozen=True)
class Found:
    exchange: Exchange
    lines: tuple[Line, ...]


def search(ledger: Ledger, wanted: Wanted, most: int | None) -> tuple[list[Found], bool]:
    """(the exchanges that say it, the one that was asked last first, at most `most`; whether there are more).

    A session that cannot be read is passed over. Raises UsageError for a bad pattern or an unknown session.
    """
    check_pattern(wanted.pattern)
    tips = _tips(ledger, wanted.session)
    hits, _ = commits.by_halves(list(tips), lambda part: _grep(ledger, {name: tips[name] for name in part}, wanted))
    order = sorted(hits, key=lambda name: (-tips[name][1], name))
    found: list[Found] = []
    at, size = 0, _FEW
    while at < len(order):
        part = order[at : at + size]
        for name, line in batch.read(ledger, part).sessions.items():
            found += [Found(e, tuple(_lines(hits[name][e.address.id]))) for e in line if e.address.id in hits[name]]
        at, size = at + size, size * 2
        found = [one for one in found if fits(one.exchange, wanted)]
        if at < len(order) and (wanted.since or 0) > tips[order[at]][1]:
            break
        newer = [one for one in found if at >= len(order) or one.exchange.request.time >= tips[order[at]][1]]
        if most is not None and len(newer) > most:
            break
    found.sort(key=lambda one: (-one.exchange.request.time, one.exchange.address.session, -_turn(one)))
    return (found, False) if most is None else (found[:most], len(found) > most)


def check_pattern(pattern: str) -> None:
    """Raise UsageError for what cannot be a pattern; whether it is a good one is git's to say."""
    if not 0 < len(pattern) <= PATTERN_MAX or {"\n", "\0"} & set(pattern):
        raise UsageError(
            f"pattern {quote(pattern)} is not one line of text",
            hint="git relay grep -F 'words'",
            code=Code.BAD_PATTERN,
        )


def bad_pattern(e: GitError) -> UsageError | None:
    """What git's complaint about a pattern is here, None if it complains of something else."""
    said = _BAD_PATTERN.search(e.stderr)
    if said is None:
        return None
    return UsageError(f"bad pattern {said[1]}", hint="-F takes it as plain words", code=Code.BAD_PATTERN)


def _turn(one: Found) -> int:
    id_ = one.exchange.address.id
    return int(id_) if names.is_turn(id_) else 0


def fits(e: Exchange, wanted: Wanted) -> bool:
    return (wanted.to is None or e.to == wanted.to) and (wanted.since is None or e.request.time >= wanted.since)


def _tips(ledger: Ledger, session: str | None) -> dict[str, tuple[str, int]]:
    """session -> (its tree, the time of its last commit); a branch comes before an archived one of the same name."""
    tips: dict[str, tuple[str, int]] = {}
    places = (BRANCHES, ARCHIVE, TRACKED)
    for ref, tree, time in ledger.repo.each_ref("%(refname)%00%(tree)%00%(committerdate:unix)", *places):
        name = name_of(ref)
        if tree and names.is_session(name) and session in (None, name):
            tips.setdefault(name, (tree, int(time or 0)))
    if session is not None and not tips:
        names.check_session(session)
        raise exchanges.unknown_session(ledger, session)
    return tips


def _grep(ledger: Ledger, tips: Mapping[str, tuple[str, int]], wanted: Wanted) -> dict[str, dict[str, list[_Raw]]]:
    """session -> id -> the lines that match. Two git processes."""
    words = ["--fixed-strings" if wanted.fixed else "--extended-regexp", *(["-i"] if wanted.ignore_case else [])]
    with tempfile.TemporaryDirectory(prefix="git-relay-") as folder:
        env = _objects_elsewhere(ledger, Path(folder))
        listing = "".join(f"040000 tree {tree}\t{name}\n" for name, (tree, _) in tips.items())
        tree = ledger.repo.run("mktree", "--missing", stdin=listing.encode(), env=env).decode().strip()
        plain = ["--text", "--no-color", "--no-column", "--no-break", "--line-number", "--null", "--heading"]
        try:
            out = ledger.repo.run("grep", *plain, *words, "-e", wanted.pattern, tree, env=env, ok=(0, 1))
        except GitError as e:
            raise (bad_pattern(e) or e) from None
    return _hits(out, tree.encode(), frozenset(wanted.kinds or KINDS))


def _objects_elsewhere(ledger: Ledger, folder: Path) -> dict[str, str]:
    """The environment in which git writes its objects to `folder` and reads those of the repository."""
    (folder / "info").mkdir()
    (folder / "info" / "alternates").write_bytes(bytes(ledger.repo.common_dir / "objects") + b"\n")
    return {"GIT_OBJECT_DIRECTORY": str(folder)}


def _hits(out: bytes, tree: bytes, kinds: frozenset[str]) -> dict[str, dict[str, list[_Raw]]]:
    """session -> id -> its hits, of what `git grep --null --heading` prints: TREE:SESSION/FILE, then NUMBER, NUL, TEXT.

    A word may be in every message: nothing is decoded here, and most lines are not even looked at one by one. No line
    begins as a heading does, because each begins with its number.
    """
    found: dict[str, dict[str, list[_Raw]]] = {}
    for block in (b"\n" + out).split(b"\n" + tree + b":")[1:]:
        path, _, rest = block.removesuffix(b"\n").partition(b"\n")
        session, _, name = path.decode("utf-8", "replace").partition("/")
        file = FILE.fullmatch(name)
        if file is None or file[2].partition("-")[0] not in kinds:
            continue
        lines = rest.split(b"\n")
        if name.endswith(".req.md"):
            lines = [line for line in lines if not _is_frame(line)]
        elif lines[0][1:2] == b"\0":  # in the order of their numbers: others have no head
            lines = [line for line in lines if line[1:2] != b"\0" or not _HEAD.fullmatch(line, 2)]
        if lines:
            found.setdefault(session, {}).setdefault(file[1], []).append((name, lines))
    return found


def _is_frame(line: bytes) -> bool:
    """Whether a line of a request is of its front matter or of the block that it ends with."""
    at = line.find(b"\0") + 1
    if at == 2 and _HEAD.fullmatch(line, at):
        return True
    return line[at : at + 1] in _FOOTER_BEGINS and _FOOTER.fullmatch(line, at) is not None


def _lines(files: Sequence[_Raw]) -> Iterator[Line]:
    for name, lines in files:
        file = FILE.fullmatch(name)
        assert file is not None
        kind = file[2].partition("-")[0]
        for line in lines:
            number, _, text = line.partition(b"\0")
            yield Line(name, kind, int(number), text.decode("utf-8", "replace"))


def with_context(ledger: Ledger, found: Sequence[Found], around: int) -> list[Found]:
    """The same with `around` lines before and behind each hit, without the blocks that gitrelay adds."""
    files = list(dict.fromkeys((one.exchange.rev, line.file) for one in found for line in one.lines))
    objects = ledger.repo.objects([f"{rev}:{name}" for rev, name in files])
    texts = {key: o.data.split(b"\n") if o else [] for key, o in zip(files, objects, strict=True)}
    return [Found(one.exchange, tuple(_widened(one, texts, around))) for one in found]


def _widened(one: Found, texts: Mapping[tuple[str, str], Sequence[bytes]], around: int) -> Iterator[Line]:
    for name in dict.fromkeys(line.file for line in one.lines):
        hits = {line.number: line for line in one.lines if line.file == name}
        kind = next(iter(hits.values())).kind
        text = texts[(one.exchange.rev, name)]
        near = {n for hit in hits for n in range(hit - around, hit + around + 1) if 1 <= n <= len(text)}
        for n in sorted(near | set(hits)):
            if n in hits:
                yield hits[n]
            elif not (n <= _HEAD_LINES and _HEAD.fullmatch(text[n - 1])) and not _FOOTER.fullmatch(text[n - 1]):
                yield Line(name, kind, n, text[n - 1].decode("utf-8", "replace"), hit=False)
