"""What a session's code ref keeps, besides the trees that its messages name. Pure, no I/O.

A message and the commit of the code ref that keeps its tree are written in one transaction of refs, so in the
repository where a session was written the code ref keeps each named tree, in the order of the messages, and no
other. In a clone it may lack the trees that were recorded elsewhere, and it may not be there at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from gitrelay.audit.steps import Commit
from gitrelay.protocol import names
from gitrelay.protocol.record import Trailer


def judged(
    commits: Sequence[Commit], kept: Sequence[str] | None, aside: Collection[str] | None, here: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(code, words) for a code ref that keeps the trees `kept`, oldest first; None if there is no such ref.

    `aside` are the trees that commits of a peer which were put aside name, None if that cannot be told; `here` are
    the commits that gitrelay wrote in this repository, as far as the branch's reflog tells.
    """
    named = [(tree, commit) for commit in commits if names.is_object_id(tree := commit.trailers.get(Trailer.TREE, ""))]
    trees = [tree for tree, _ in named]
    known, there = frozenset(trees), frozenset(kept or ())
    if kept is not None and aside is not None:
        strange = [tree for tree in kept if tree not in known and tree not in aside]
        if strange:
            yield "code-ref", f"its code ref keeps {len(strange)} trees that no message names, as {strange[0][:12]}"
        elif not aside and not _in_order(kept, trees):
            yield "code-ref", "its code ref keeps trees in another order than the messages name them"
    lacking = [tree for tree, commit in named if tree not in there and commit.oid in here]
    if lacking and kept is None:
        yield "code-gone", f"{len(set(lacking))} trees were recorded here, and the code ref that kept them is gone"
    elif lacking:
        yield "code-ref", f"its code ref lacks {len(set(lacking))} trees that were recorded here, as {lacking[0][:12]}"
    elif kept is not None and known and not known & there:
        yield "code-ref", "its code ref keeps none of the trees that it names"


def lacks(commits: Sequence[Commit], kept: Sequence[str] | None) -> bool:
    """Whether a message names a tree that the code ref does not keep."""
    there = frozenset(kept or ())
    return any(tree not in there for commit in commits if (tree := commit.trailers.get(Trailer.TREE)) is not None)


def _in_order(kept: Sequence[str], named: Sequence[str]) -> bool:
    """Whether `kept` can be read off `named` from left to right, leaving some out."""
    rest = iter(named)
    return all(any(tree == one for one in rest) for tree in kept)
