"""Each line of a file and the exchange that wrote it, from the kept trees. It writes nothing but its cache."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from gitrelay.errors import RelayError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.history import batch
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol.applied import APPLIED
from gitrelay.protocol.record import Trailer
from gitrelay.provenance.lines import again, annotated, cache, elsewhere, matching, treediff
from gitrelay.provenance.lines.additions import EDGE, Additions, Texts, brief, of_patch
from gitrelay.provenance.lines.annotated import Annotated
from gitrelay.provenance.lines.evidence import Line, Match, Source
from gitrelay.provenance.lines.files import File
from gitrelay.provenance.lines.kept import Looked

_FEW: Final = 50  # pairs of trees; for more a second git process pays


class Kind(StrEnum):
    """What is known of who wrote a line."""

    ONE = "one"  # one recorded exchange added it
    SEVERAL = "several"  # more than one did; none is picked
    NONE = "none"  # no recorded exchange is known to have added it, which does not say who did
    UNKNOWN = "unknown"  # it cannot be known here


class Why(StrEnum):
    """Why nobody is named."""

    NOT_ADDED = "not-added"  # no exchange of that time added it
    OLDER = "older"  # it is older than the first exchange
    NO_FILES = "no-files"  # an exchange that may have added it has no files here
    SHALLOW = "shallow"  # the history of this clone ends before the line


class Blamed(NamedTuple):
    """One line: `number` in the file that was asked for, from 1. `exchanges` are empty unless `kind` is ONE or SEVERAL.

    `reflowed`: it was split or joined since. `overlap`: the exchanges ran at the same time in one tree, the first of
    them was answered first. `shared`: so did the one that is named, with others that did not add the line.
    """

    number: int
    line: Annotated
    kind: Kind
    exchanges: tuple[Exchange, ...] = ()
    why: Why | None = None
    reflowed: bool = False
    overlap: bool = False
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The lines, and how far the record goes: of `total` exchanges `missing` have no files in this clone.

    `exchanges` are all that can be read, `damaged` the sessions that cannot.
    """

    lines: Sequence[Blamed]
    total: int
    missing: int
    exchanges: Sequence[Exchange]
    damaged: Mapping[str, RelayError] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """The exchanges that may have written something, with what each of them added.

    `all` are those that wrote nothing, too. `missing` are the times from which on one without files may have added
    something.
    """

    exchanges: Sequence[Exchange]
    sources: Sequence[Source]
    all: Sequence[Exchange]
    total: int
    missing: Sequence[int]
    damaged: Mapping[str, RelayError]


def blame(ledger: Ledger, file: File, looked: Callable[[], Looked], record: Record | None = None) -> Report:
    """Who wrote each line of `file`; `looked` waits for git, as `files.looking` gives it.

    `record` is what `read` gave, for who looks at many files.
    Raises GitError, and what reading the record raises.
    """
    with _uncollected():
        record = read(ledger) if record is None else record
        texts = Texts()
        for line in file.data.split(b"\n"):  # while git is at work
            texts[line.removesuffix(b"\r")]
        return _report(ledger, file, looked(), record, texts)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Python looks for cycles among ten thousands of tuples again and again; without that it takes half the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _report(ledger: Ledger, file: File, looked: Looked, record: Record, texts: Texts) -> Report:
    lines = looked.lines
    around = _around(ledger.repo, looked, record.sources, texts)
    looked.keep()
    paths = frozenset({one.path for one in lines} | {file.name})
    stay = elsewhere.staying(ledger.repo, file.rev, around, record.sources, paths)
    search = matching.searched(around, record.sources, paths, stay)
    found = _without_pieces(ledger.repo, file, looked, search)
    first = min([*(e.request.time for e in record.exchanges), *record.missing], default=None)
    blamed = list(_blamed(lines, found, record, first))
    return Report(blamed, record.total, len(record.missing), record.all, record.damaged)


def _without_pieces(repo: Repository, file: File, looked: Looked, search: matching.Search) -> dict[int, Match]:
    """What was found, without lines that were gone since and came back without most of what was added with them."""
    if not search.held:
        return search.found
    begin = min(source.begin for source in search.sources)
    commits = [one.commit.oid for one in looked.lines]
    log = annotated.log(repo, file.rev or "HEAD", begin, search.paths)
    compared = again.to_look_at(search, commits, log)
    size = sum(len(one.data) + 1 for one in looked.lines)
    wanted = dict.fromkeys(at for pair in compared.values() for at in pair if at[0])
    changed = again.without_pieces(search, compared, annotated.files_of(repo, list(wanted), size))
    return {i: match for i, one in search.found.items() if (match := changed.get(i, one)) is not None}


def read(ledger: Ledger) -> Record:
    """The record, from all sessions that can be read; archived ones too."""
    all_ = batch.read(ledger)
    answered = [e for e in all_.exchanges if e.response is not None]
    pairs = {}
    for e in answered:
        pair = _trees(e)
        if pair is not None and pair[0] != pair[1]:
            pairs[e.address] = pair
    added = _added(ledger, list(dict.fromkeys(pairs.values())))
    kept, missing = [], []
    for e in answered:
        if _trees(e) is None or (e.address in pairs and pairs[e.address] not in added):
            missing.append(e.request.time)
        elif e.address in pairs:
            kept.append(e)
            if added[pairs[e.address]].cut:
                missing.append(e.request.time)
    sources = [_source(e, added[pairs[e.address]], near) for e, near in zip(kept, _near(kept), strict=True)]
    return Record(kept, sources, all_.exchanges, len(answered), missing, all_.damaged)


def _trees(e: Exchange) -> tuple[str, str] | None:
    trees = e.request.tree, e.response.tree if e.response else None
    return (trees[0], trees[1]) if trees[0] and trees[1] else None


def _source(e: Exchange, added: Additions, near: set[int]) -> Source:
    assert e.response is not None
    heads = e.request.trailers.get(Trailer.HEAD), e.response.trailers.get(Trailer.HEAD)
    applies = [one.commit.time for one in e.applies if one.word == APPLIED]
    return Source(
        begin=e.response.time if heads[0] == heads[1] else e.request.time,  # it may have made commits itself
        answered=e.response.time,
        added=added,
        applied=min(applies, default=None),
        aside=e.request.workspace == "isolated",
        shared=frozenset(near),
    )


def _near(exchanges: Sequence[Exchange]) -> list[set[int]]:
    """For each exchange the places of those that ran at the same time, and may have been in the same tree."""
    places = {str(e.address): i for i, e in enumerate(exchanges)}
    near = [{places[word] for word in e.shared if word in places} for e in exchanges]
    running: list[int] = []
    for i in sorted(range(len(exchanges)), key=lambda i: exchanges[i].request.time):
        e = exchanges[i]
        if e.request.workspace == "isolated":
            continue
        running = [j for j in running if _answered(exchanges[j]) > e.request.time]
        for j in running:
            if exchanges[j].address.session != e.address.session:
                near[i].add(j)
                near[j].add(i)
        running.append(i)
    return near


def _answered(e: Exchange) -> int:
    return e.response.time if e.response else 0


def _added(ledger: Ledger, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Additions]:
    """What each pair of trees adds, out of the cache, or from git; a pair whose trees are not here is missing."""
    folder = ledger.state.root
    known = cache.read(folder)
    new = [pair for pair in pairs if pair not in known]
    found = {pair: known[pair] for pair in pairs if pair in known}
    if not new:
        return found
    fresh = _diffed(ledger.repo, new)
    found |= fresh
    if fresh:
        cache.write(folder, found)
    return found


def _diffed(repo: Repository, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Additions]:
    readable = treediff.readable(repo, pairs)
    middle = len(readable) // 2 if len(readable) > _FEW else len(readable)
    with ThreadPoolExecutor(2) as pool:  # two git processes: each uses one core
        first, second = pool.map(
            lambda part: treediff.read(repo, part, of_patch, around=3), (readable[:middle], readable[middle:])
        )
    return first | second


def _around(repo: Repository, looked: Looked, sources: Sequence[Source], known: Texts) -> list[Line]:
    """The lines for the matcher, with what was around each in its commit, if that is not what is around it now.

    Old versions are read only for lines that were added, and whose neighbours now are not those they were added with.
    """
    lines = looked.lines
    texts = [known[one.data] for one in lines]
    keys = [EDGE, *(text.key for text in texts), EDGE]
    rows = [row for s in sources for rows in s.added.files.values() for row in rows]
    written = {row.text.key for row in rows}
    placed = {(row.before, row.text.key, row.behind) for row in rows}
    earliest = min((source.begin for source in sources), default=0)
    torn = {
        i
        for i in _torn(lines)
        if texts[i].key in written
        and (lines[i].commit.time or 0) >= earliest
        and (keys[i], keys[i + 1], keys[i + 2]) not in placed
    }
    _look_around(repo, looked, sorted(torn - looked.around.keys()))
    result = []
    for i, one in enumerate(lines):
        before, behind = keys[i], keys[i + 2]
        if i in torn and i in looked.around:
            before, behind = looked.around[i]
        result.append(Line(texts[i], one.data, one.commit.time, one.path, before, behind))
    return result


def _look_around(repo: Repository, looked: Looked, places: Sequence[int]) -> None:
    lines = looked.lines
    size = sum(len(one.data) + 1 for one in lines)
    wanted = dict.fromkeys((lines[i].commit.oid, lines[i].path) for i in places)
    versions = annotated.files_of(repo, list(wanted), size)
    for i in places:
        beside = _beside(versions.get((lines[i].commit.oid, lines[i].path)), lines[i].number)
        if beside is not None:
            looked.around[i] = beside


def _torn(lines: Sequence[Annotated]) -> list[int]:
    """The lines that have a neighbour from another commit, or from another place; what is not committed has none."""
    whole = [False]
    whole += [a.commit is b.commit and a.number + 1 == b.number and a.path == b.path for a, b in pairwise(lines)]
    whole.append(False)
    return [i for i, one in enumerate(lines) if one.commit.oid and not (whole[i] and whole[i + 1])]


def _beside(version: Sequence[bytes] | None, number: int) -> tuple[int, int] | None:
    if version is None or not 0 < number <= len(version):
        return None
    last = len(version) - (0 if version[-1] else 1)
    before = brief(version[number - 2]).key if number > 1 else EDGE
    return before, brief(version[number]).key if number < last else EDGE


def _blamed(
    lines: Sequence[Annotated], found: Mapping[int, Match], record: Record, first: int | None
) -> Iterator[Blamed]:
    known: dict[Match, tuple[Kind, tuple[Exchange, ...], None, bool, bool, tuple[str, ...]]] = {}
    gaps: dict[str, tuple[Kind, tuple[Exchange, ...], Why]] = {}
    for at, line in enumerate(lines):
        match = found.get(at)
        if match is None:
            oid = line.commit.oid
            if oid not in gaps:
                gaps[oid] = _nobody(line, record, first)
            yield Blamed(at + 1, line, *gaps[oid])
            continue
        if match not in known:
            exchanges = tuple(record.exchanges[i] for i in match.sources)
            kind = Kind.ONE if len(exchanges) == 1 else Kind.SEVERAL
            shared = exchanges[0].shared if kind is Kind.ONE else ()
            known[match] = kind, exchanges, None, match.reflowed, match.overlap, shared
        yield Blamed(at + 1, line, *known[match])


def _nobody(line: Annotated, record: Record, first: int | None) -> tuple[Kind, tuple[Exchange, ...], Why]:
    time = line.commit.time
    if first is not None and time is not None and time < first and not line.commit.cut:
        return Kind.NONE, (), Why.OLDER
    if any(time is None or missing <= time for missing in record.missing):
        return Kind.UNKNOWN, (), Why.NO_FILES
    if line.commit.cut:
        return Kind.UNKNOWN, (), Why.SHALLOW
    return Kind.NONE, (), Why.NOT_ADDED
