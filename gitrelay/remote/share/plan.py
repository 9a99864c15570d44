"""What a push of sessions would do, told before it is done: which refs move, what becomes public, what must not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from gitrelay.audit import leaks
from gitrelay.audit.leaks import Leak
from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.history import exchanges
from gitrelay.ledger import roots
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, STEPS, name_of
from gitrelay.remote import known
from gitrelay.remote.address import Remote
from gitrelay.remote.share import coderef, settings, wire
from gitrelay.remote.share.compare import LOST, Compared, IsAncestor, State, compared
from gitrelay.remote.share.wire import Arrived, Move, There


@dataclass(frozen=True)
class Local:
    """The sessions of this repository that may be meant: the full ref of each and its commit.

    `code` are the commits of all code refs, by session; `steps` those of the refs that hold what peers say they did.
    """

    refs: Mapping[str, str]
    tips: dict[str, str]
    code: Mapping[str, str]
    steps: Mapping[str, str]


@dataclass(frozen=True)
class Publication:
    """What the remote would have after the push and has not now.

    `exchanges` and `messages` count requests and files of sessions; `files` are those of the callers' working trees, in
    `trees` trees; `size` is bytes as they are in this repository, packed or not.
    """

    sessions: int = 0
    exchanges: int = 0
    trees: int = 0
    files: int = 0
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """A push to `remote`: `moves` of each session, together or not at all; `first`: what it has never had.

    `found` is every session that was looked at; `leaks` are secrets in the commits that would be sent.
    """

    remote: Remote
    found: Sequence[Compared]
    moves: Mapping[str, Sequence[Move]]
    first: Sequence[str]
    there: There
    notes: Sequence[str] = ()
    public: Publication = field(default_factory=Publication)
    leaks: Sequence[Leak] = ()


def local(ledger: Ledger, sessions: Sequence[str], *, private: bool = False) -> Local:
    """`sessions`, or all that are not private; `private`: those too.

    Raises UsageError for an unknown one, and for one that is named and private.
    """
    refs: dict[str, str] = {}
    tips: dict[str, str] = {}
    strange = roots.foreign(ledger.repo)
    for ref, oid in ledger.repo.each_ref("%(refname)%00%(objectname)", BRANCHES, ARCHIVE):  # branches first
        name = name_of(ref)
        if names.is_session(name) and ref not in strange and name not in refs:
            refs[name], tips[name] = ref, oid
    for name in sessions:
        names.check_session(name)
        if name not in refs:
            raise exchanges.unknown_session(ledger, name)
        if not private and settings.is_private(ledger.repo, name):
            raise UsageError(
                f"session {name} is kept on this machine ({settings.PRIVATE})",
                hint=f"git relay push --share {name}",
                code=Code.SHARE,
            )
    wanted = sessions or [name for name in refs if private or not settings.is_private(ledger.repo, name)]
    rows = ledger.repo.each_ref("%(refname)%00%(objectname)", CODE, STEPS)
    code = {ref.removeprefix(CODE): oid for ref, oid in rows if ref.startswith(CODE)}
    steps = {ref.removeprefix(STEPS): oid for ref, oid in rows if ref.startswith(STEPS)}
    return Local({name: refs[name] for name in wanted}, {name: tips[name] for name in wanted}, code, steps)


def plan(ledger: Ledger, remote: Remote, here: Local, *, again: bool = False, code: bool = True) -> Plan:
    """What has to move on `remote` so that it has these sessions; the network is asked, nothing is written there.

    `again`: what the remote had shown and has no more is published again. `code`: the files travel too. Raises
    CannotRecord if the remote cannot be read.
    """
    repo, there, shown = ledger.repo, wire.listed(ledger.repo, remote), known.read(ledger.repo, remote.name)
    moves: dict[str, list[Move]] = {}
    notes: list[str] = []
    with told(ledger, remote, there, here.tips) as (is_ancestor, arrived):
        found = compared(here.tips, here.tips, there, shown, is_ancestor)
        for one in found:
            if one.state in (State.DIVERGED, State.BEHIND) or (
                one.state in LOST and not _again(one, again, is_ancestor)
            ):
                continue
            wanted = _head_moves(here, there, one)
            if code:
                wanted += _code_moves(repo, here, there, one, arrived, is_ancestor, notes)
                wanted += _steps_moves(here, there, one, is_ancestor, notes)
            if wanted:
                moves[one.session] = wanted
    first = [one.session for one in found if one.session in moves and one.there is None]
    return Plan(remote, found, moves, first, there, notes)


def weighed(ledger: Ledger, made: Plan) -> Plan:
    """The plan with what it makes public and the secrets in it, which takes time if there is much."""
    from dataclasses import replace

    if not made.moves:
        return made
    heads = {one.session: one for one in made.found if one.session in made.moves}
    new = _new_commits(ledger.repo, [(one.here or "", one.there or "") for one in heads.values()])
    steps = [move for moves in made.moves.values() for move in moves if move.ref.startswith(STEPS)]
    new |= _new_commits(ledger.repo, [(move.new, move.old) for move in steps])
    secrets = [leak for leak in leaks.find(ledger, sorted(heads)) if leak.commit in new]
    return replace(made, public=_publication(ledger, made), leaks=secrets)


@contextlib.contextmanager
def told(
    ledger: Ledger, remote: Remote, there: There, sessions: Mapping[str, str]
) -> Iterator[tuple[IsAncestor, Arrived | None]]:
    """(how one commit stands to another, what had to be read from the remote for that) for the remote's `sessions`."""
    ours = [ref for ref in there.refs if wire.name_in(ref) in sessions]
    known_here = ledger.repo.objects([f"{there.refs[ref]}^{{commit}}" for ref in ours])
    lacking = [ref for ref, commit in zip(ours, known_here, strict=True) if commit is None]
    ended = {name: one for name, one in there.finished.items() if name in sessions}
    tips = ledger.repo.objects([oid for one in ended.values() for oid in (one.tip, one.code) if oid])
    if not lacking and None not in tips:
        yield _ancestry(ledger.repo), None
        return
    many = len(lacking) > 500  # their names go on a command line
    refs = wire.PREFIXES if many else lacking
    with wire.arrived(ledger, remote, refs, exact=not many, ended=ended) as (_, arrived):
        yield arrived.is_ancestor, arrived


def _ancestry(repo: Repository) -> IsAncestor:
    def is_ancestor(old: str, new: str) -> bool:
        return old == new or not repo.run("rev-list", "--max-count=1", f"{new}..{old}", "--").strip()

    return is_ancestor


def _again(one: Compared, again: bool, is_ancestor: IsAncestor) -> bool:
    """Whether what a remote has lost may be sent to it again: it has nothing else, or less than there is here."""
    if not again or one.here is None:
        return False
    return one.there is None or is_ancestor(one.there, one.here)


def _head_moves(here: Local, there: There, one: Compared) -> list[Move]:
    """The move of the session's own ref: the branch's, or the archived one's if it is archived here."""
    ref, tip = here.refs[one.session], here.tips[one.session]
    old = there.refs.get(ref, "")
    is_there = one.there == tip and (ref.startswith(BRANCHES) or there.is_finished(one.session, tip))
    return [] if old == tip or is_there else [Move(ref, old, tip)]


def _code_moves(
    repo: Repository,
    here: Local,
    there: There,
    one: Compared,
    arrived: Arrived | None,
    is_ancestor: IsAncestor,
    notes: list[str],
) -> list[Move]:
    """The move of the session's code ref, which is joined with the remote's if both have trees of their own."""
    ref = CODE + one.session
    ours, theirs = here.code.get(one.session), there.code(one.session)
    if ours is None or ours == theirs or (theirs is not None and is_ancestor(ours, theirs)):
        return []
    old = there.refs.get(ref, "")
    if theirs is None or is_ancestor(theirs, ours):
        return [Move(ref, old, ours)]
    try:
        if arrived is not None:
            arrived.admit([theirs])
        line = coderef.joined(repo, theirs, ours)
        repo.move_refs([(ref, line, ours)], f"join the files of {one.session} with those of the remote")
    except RelayError as e:
        notes.append(f"the files of {one.session} stay here: {e.message}")
        return []
    return [Move(ref, old, line)]


def _steps_moves(here: Local, there: There, one: Compared, is_ancestor: IsAncestor, notes: list[str]) -> list[Move]:
    """The move of the ref with what the session's peers say they did, which only goes forward."""
    ref = STEPS + one.session
    ours, theirs = here.steps.get(one.session), there.refs.get(ref)
    if ours is None or (theirs is not None and is_ancestor(ours, theirs)):
        return []
    if theirs is None or is_ancestor(theirs, ours):
        return [Move(ref, theirs or "", ours)]
    notes.append(f"the steps of {one.session} stay here: the remote has others")
    return []


def _new_commits(repo: Repository, found: Sequence[tuple[str, str]]) -> set[str]:
    """The commits behind what is here and not behind what is there, '' for nothing."""
    lines = [here for here, _ in found if here]
    known_there = [f"^{there}" for _, there in found if there and repo.objects([there])[0] is not None]
    words = "".join(f"{rev}\n" for rev in (*lines, *known_there))
    return set(repo.run("rev-list", "--stdin", stdin=words.encode()).decode().split()) if lines else set()


def _publication(ledger: Ledger, made: Plan) -> Publication:
    repo, moves = ledger.repo, [move for moves in made.moves.values() for move in moves]
    has = sorted(set(made.there.refs.values()))
    seen = [found.oid for found in repo.objects(has) if found is not None]
    heads = [move.new for move in moves if not move.ref.startswith(CODE)]
    lines = [move.new for move in moves if move.ref.startswith(CODE)]
    branches = [oid for (oid,) in repo.each_ref("%(objectname)", f"refs/remotes/{made.remote.name}/")]
    asked = [subject for subject in _subjects(repo, heads, seen) if subject.startswith("req ")]
    _, of_heads = _blobs(repo, heads, seen)
    files, of_lines = _blobs(repo, lines, [*seen, *branches])
    return Publication(len(made.moves), len(asked), len(_subjects(repo, lines, seen)), files, of_heads + of_lines)


def _subjects(repo: Repository, tips: Sequence[str], seen: Sequence[str]) -> list[str]:
    """The subjects of the commits behind `tips` and not behind those `seen`."""
    if not tips:
        return []
    words = "".join(f"{rev}\n" for rev in (*tips, *(f"^{oid}" for oid in seen)))
    return repo.run("log", "--format=%s", "--stdin", stdin=words.encode()).decode("utf-8", "replace").splitlines()


def _blobs(repo: Repository, tips: Sequence[str], seen: Sequence[str]) -> tuple[int, int]:
    """(files, bytes) in the commits behind `tips`, without those in the last trees of what was `seen`."""
    if not tips:
        return 0, 0
    words = "".join(f"{rev}\n" for rev in (*tips, *(f"^{oid}{of}" for oid in seen for of in ("", "^{tree}"))))
    listed = repo.run("rev-list", "--objects", "--no-object-names", "--stdin", stdin=words.encode())
    out = repo.run("cat-file", "--buffer", "--batch-check=%(objecttype) %(objectsize:disk)", stdin=listed)
    rows = [line.split(" ") for line in out.decode().splitlines()]
    return sum(row[0] == "blob" for row in rows), sum(int(row[1]) for row in rows)
