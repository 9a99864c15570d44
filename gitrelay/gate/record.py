"""Whether a change may be pushed, read from the record; `check` and the hook `pre-push` ask alike.

Nothing is written here: the caller settles dead calls before (`inflight.settle_all`), and notes a pass afterwards
(notes.py). `judge` decides by verdict.py: a change passes if the recorded reviews, alone or one behind the other, lead
from its base to its head, and the tree of every commit between was in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from gitrelay.errors import UsageError
from gitrelay.gate import bases, outgoing, verdict
from gitrelay.gate.outgoing import Change
from gitrelay.gate.verdict import BYPASS, Question, Review, Verdict
from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.history import exchanges as history
from gitrelay.history.exchange import Exchange
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.record import ARCHIVE, BRANCHES, TRACKED, Trailer, name_of, remote_of, trailers_of_text
from gitrelay.state.calls import Call

GATE: Final = "gate"  # who asks a person for an exception
_CHAIN_MAX: Final = 50  # reviews of parts, one behind the other, that together may cover a change
_PARTS_MAX: Final = 20  # commits of a change that are tried as the last one that passed


class Reviews:
    """The recorded reviews; each session is read once.

    `remotes`: what git fetched of a remote's sessions counts too, if it keeps the rules and is not here; `elsewhere`
    are the sessions that were read so.
    """

    def __init__(self, ledger: Ledger, *, remotes: bool = False) -> None:
        self.ledger = ledger
        self.repo = ledger.repo
        self.remotes = remotes
        self.elsewhere: set[str] = set()
        self._sessions: dict[str, list[Review]] = {}
        self._places: dict[str, set[str]] | None = None

    def of_session(self, session: str) -> list[Review]:
        """The reviews of a session, none if there is no such session."""
        if session not in self._sessions:
            self._sessions[session] = self._read(session)
        return self._sessions[session]

    def of_tree(self, tree: str) -> list[Review]:
        """The reviews of a change that ends with these files, in whichever session."""
        return [one for one in self.about(tree) if one.tree == tree]

    def about(self, tree: str) -> list[Review]:
        """The reviews that had a commit with these files in them."""
        sessions = sorted(self.places.get(tree, ()))
        return [one for name in sessions for one in self.of_session(name) if tree in one.seen]

    @property
    def places(self) -> dict[str, set[str]]:
        """tree -> the sessions with a review of it; one git process for all of them."""
        if self._places is None:
            self._places = {}
            prefixes = [f"{BRANCHES}review-", f"{ARCHIVE}review-"]
            prefixes += [f"{TRACKED.removesuffix('*')}review-"] if self.remotes else []
            for ref, text in self.repo.search(f"{verdict.TREE}: ", "%S%x00%(trailers:only,unfold)", prefixes):
                trailers, name = trailers_of_text(text), name_of(ref)
                if names.is_session(name):
                    for tree in {trailers.get(verdict.TREE, ""), *verdict.trees_of(trailers)}:
                        self._places.setdefault(tree, set()).add(name)
        return self._places

    def _read(self, session: str) -> list[Review]:
        try:
            exchanges = history.exchanges(self.ledger, session)
        except UsageError:
            return []
        if exchanges and remote_of(exchanges[0].rev):
            if not self.remotes or _breaks_rules(self.repo, session, exchanges[0].rev):
                return []
            self.elsewhere.add(session)
        folder = self.ledger.state.call(session)
        call = folder.load()
        alive = call is not None and folder.is_alive()
        found = (
            of_exchange(e, call if call is not None and call.id == e.address.id else None, alive) for e in exchanges
        )
        return [one for one in found if one is not None]


def _breaks_rules(repo: Repository, session: str, ref: str) -> bool:
    """Whether a session that git fetched, as `ref`, is one that `git relay fetch` would refuse."""
    from gitrelay.audit import inspection  # the hook needs none of it

    tip = repo.ref(ref)
    return tip is None or bool(inspection.inspect_arrivals(repo, {session: (repo.no_object, tip)}, None))


def of_exchange(exchange: Exchange, call: Call | None = None, alive: bool = False) -> Review | None:
    """The review that an exchange records; None if it is none, or if its two sides do not agree.

    `call` is the exchange's own if it is there still, and `alive` whether its supervisor is.
    """
    asked = exchange.request.trailers
    answer = exchange.response.trailers if exchange.response else None
    keys = (verdict.BASE, verdict.HEAD, verdict.TREE, verdict.POLICY)
    if any(not asked.get(key) or (answer is not None and answer.get(key) != asked[key]) for key in keys):
        return None
    reason = answer.get(BYPASS) if answer is not None else None
    if (exchange.from_ == GATE) != (reason is not None):
        return None  # an exception that was never signed off, or a reason on a reviewer's answer
    runs = call is not None and alive
    lost = call is not None and not alive and exchange.response is None  # it died, and nobody has recorded that yet
    return Review(
        address=exchange.address,
        time=exchange.request.time,
        base=asked[verdict.BASE],
        head=asked[verdict.HEAD],
        tree=asked[verdict.TREE],
        policy=asked[verdict.POLICY],
        reviewer=exchange.to,
        status="pending" if runs else "error" if lost else exchange.status,
        verify=exchange.verify,
        reason="lost" if lost else exchange.reason,
        own=lost or reason is not None or (answer is not None and Trailer.PEER in answer),
        failed_checks=tuple(check.command for check in exchange.failed_checks),
        bypass=reason,
        trees=verdict.trees_of(asked),
    )


# -- the question -------------------------------------------------------------------------------------


def question(change: Change, reviewer: str | None) -> Question:
    return Question(change.base, change.head, change.tree, change.policy, reviewer, change.trees)


def judge(reviews: Reviews, change: Change, reviewer: str | None, *, exceptions: bool = True) -> Verdict:
    """What the record says of a change. No network, and nothing is written."""
    if change.cut:
        return Verdict(verdict.SHALLOW, why="the history of this clone is cut off before the base")
    if change.is_empty:
        return Verdict(verdict.NOTHING_NEW, why=f"there is no commit behind {change.head[:12]}")
    whole = _whole(reviews, change, reviewer, exceptions)
    if whole.lets_go or whole.state == verdict.FAILED:
        return whole
    rest = left(reviews, change, reviewer, exceptions=exceptions)
    if rest is change:
        return whole
    wanted = question(rest, reviewer)
    found = _verdict_on(reviews, wanted, reviews.of_session(change.session), exceptions)
    return whole if found.lets_go else found


def left(reviews: Reviews, change: Change, reviewer: str | None, *, exceptions: bool = True) -> Change:
    """What of a change is left to be reviewed: from the last commit on up to which all of it has passed."""
    repo = reviews.repo
    known = [commit for commit in outgoing.commits(repo, change) if commit.tree in reviews.places]
    for commit in [commit for commit in reversed(known) if commit.oid != change.head][:_PARTS_MAX]:
        part = replace(change, head=commit.oid, tree=commit.tree)
        part = outgoing.with_base(repo, part, change.base, change.covered)
        if _whole(reviews, part, reviewer, exceptions).lets_go:
            return outgoing.with_base(repo, change, commit.oid, change.covered)
    return change


def with_debts(reviews: Reviews, change: Change) -> Change:
    """The change from further back, if something of its branch got onto the default branch without a pass.

    That is known from the branch's own session: a review there that did not let its change go, and whose files no
    later one has had.
    """
    if change.base is None or not change.pins:
        return change
    repo, own = reviews.repo, reviews.of_session(change.session)
    covered = frozenset[str]().union(*(one.seen for one in own if one.own and one.state in verdict.LET_GO))
    base: str | None = change.base
    for one in own:
        if one.state in verdict.LET_GO or one.tree in covered or not bases.is_ancestor(repo, one.head, change.base):
            continue
        if one.base == verdict.NONE or base is None:
            base = None
        elif one.base != base and bases.is_ancestor(repo, one.base, change.base):
            base = bases.merge_base(repo, one.base, [base])
    return change if base == change.base else outgoing.with_base(repo, change, base)


def _whole(reviews: Reviews, change: Change, reviewer: str | None, exceptions: bool) -> Verdict:
    """The verdict on a change as it is, from its base to its head."""
    wanted = question(change, reviewer)
    found = _verdict_on(reviews, wanted, reviews.of_session(change.session), exceptions)
    if not found.lets_go and found.state != verdict.FAILED:
        found = _in_steps(reviews, wanted, exceptions) or found
    unseen = _unseen(reviews, wanted, found, exceptions) if found.lets_go else 0
    if not unseen:
        return found
    words = f"{unseen} of its commits" if unseen > 1 else "one of its commits"
    return Verdict(verdict.STALE, found.review, f"the files at the end have passed, but not those of {words}")


def _unseen(reviews: Reviews, wanted: Question, found: Verdict, exceptions: bool) -> int:
    """How many trees on the way from base to head no review has had that counts."""
    missing = set(wanted.trees) - found.seen
    if missing:  # reviews of before the trailers that name the trees
        every = (found.review, *found.through)
        missing -= {tree for one in every if one and not one.trees for tree in _trees_between(reviews, one)}
    return sum(
        not any(verdict.counts(wanted, one, exceptions=exceptions) for one in reviews.about(tree)) for tree in missing
    )


def _trees_between(reviews: Reviews, one: Review) -> list[str]:
    since = [f"^{one.base}"] if names.is_object_id(one.base) else []
    try:
        return reviews.repo.run("log", "--format=%T", *since, "--end-of-options", one.head, "--").decode().split()
    except GitError:
        return []  # not in this clone


def _verdict_on(reviews: Reviews, wanted: Question, of_branch: Sequence[Review], exceptions: bool) -> Verdict:
    def covers(found: Review) -> bool:
        """A review from further back has seen all of it; one of everything too."""
        if found.base == verdict.NONE or wanted.base is None:
            return found.base == verdict.NONE
        return bases.is_ancestor(reviews.repo, found.base, wanted.base)

    check: Callable[[Review], bool] = covers
    return verdict.judge(wanted, reviews.of_tree(wanted.tree), of_branch, covers=check, exceptions=exceptions)


def _in_steps(reviews: Reviews, wanted: Question, exceptions: bool) -> Verdict | None:
    """The verdict on a change that was reviewed in several parts, each from where the one before ended."""
    todo: list[tuple[Question, Verdict | None]] = [(wanted, None)]
    seen = {wanted.tree}
    while todo and len(seen) < _CHAIN_MAX:
        asked, behind = todo.pop()
        of_tree = reviews.of_tree(asked.tree)
        for found in of_tree:
            part = Question(found.base, asked.head, asked.tree, wanted.policy, wanted.reviewer)
            own = verdict.judge(part, of_tree, (), exceptions=exceptions)
            start = outgoing.tree_of(reviews.repo, found.base) if names.is_object_id(found.base) else None
            if not own.lets_go or start is None or start in seen:
                continue
            so_far = own if behind is None else verdict.joined(behind, own)
            rest = Question(wanted.base, found.base, start, wanted.policy, wanted.reviewer)
            before = _verdict_on(reviews, rest, (), exceptions)
            if before.lets_go:
                return verdict.joined(so_far, before)
            seen.add(start)
            todo.append((rest, so_far))
    return None


# -- what a clone lacks -------------------------------------------------------------------------------


def is_not_fetched(reviews: Reviews, change: Change, remote: str, *, in_ci: bool) -> bool:
    """Whether verdicts on a change may be on `remote` and are not here.

    True if the clone has older ones of its own than the remote-tracking ref has, or that one breaks the rules. A clone
    that fetches single branches, or CI, has never been given any: there no session at all is taken for the same.
    """
    repo = reviews.repo
    rows = repo.each_ref("%(refname)%00%(objectname)", f"refs/remotes/{remote}/relay")
    there = {row[0].removeprefix(f"refs/remotes/{remote}/relay/"): row[1] for row in rows}
    here = {name_of(row[0]): row[1] for row in repo.each_ref("%(refname)%00%(objectname)", BRANCHES, ARCHIVE)}
    tip = there.get(change.session)
    if tip is not None:
        own = here.get(change.session)
        return change.session not in reviews.elsewhere and (own is None or not bases.is_ancestor(repo, tip, own))
    if any(name.startswith("review-") for name in here):
        return False
    narrow = not any(spec.startswith(("+refs/heads/*:", "refs/heads/*:")) for spec in _fetched(repo, remote))
    return any(name.startswith("review-") for name in there) or in_ci or narrow


def _fetched(repo: Repository, remote: str) -> list[str]:
    return [value for value, _ in repo.config.get(f"remote.{remote}.fetch", [])] or ["refs/heads/*:"]
