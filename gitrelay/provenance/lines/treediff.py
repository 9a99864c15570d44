"""The patches between many pairs of trees: one git process for all of them that can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.provenance.lines.additions import patches

Pair = tuple[str, str]
T = TypeVar("T")
# git asks for a large buffer for each version of a large file; if glibc gives it back to the kernel each time, that
# takes a third of git's processor time
_MEMORY: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
_WORDS: Final = ("-r", "-M", "-p", "--no-color", "--no-ext-diff", "--no-textconv")


def readable(repo: Repository, pairs: Sequence[Pair]) -> list[Pair]:
    """Those of `pairs` whose two trees are here."""
    trees = list(dict.fromkeys(tree for pair in pairs for tree in pair))
    try:
        out = repo.run("cat-file", "--batch-check=%(objecttype)", stdin="".join(f"{t}\n" for t in trees).encode())
    except GitError:
        return []
    there = {tree for tree, said in zip(trees, out.split(b"\n"), strict=False) if said == b"tree"}
    return [pair for pair in pairs if there.issuperset(pair)]


def read(
    repo: Repository, pairs: Sequence[Pair], take: Callable[[bytes], T], *, around: int, largest: str = ""
) -> dict[Pair, T]:
    """What `take` makes of the patch of each pair, with `around` lines around each change; a broken pair is missing.

    A file larger than `largest` (as `4m`) is as a binary one: of it there are no lines. git stops at an object that is
    gone: the batch is halved around it.
    """
    if not pairs:
        return {}
    lines = "".join(f"{before} {after}\n" for before, after in pairs).encode()
    # inside the git folder and without an index no attribute of the tree says what is text
    env = {"GIT_INDEX_FILE": str(repo.common_dir / "relay" / "no-index"), **_MEMORY}
    options = ["-c", "diff.algorithm=histogram", *(["-c", f"core.bigFileThreshold={largest}"] if largest else [])]
    words = ("diff-tree", "--stdin", *_WORDS, f"-U{around}")
    try:
        out = repo.run(*options, *words, stdin=lines, env=env, place=repo.common_dir)
    except GitError:
        if len(pairs) == 1:
            return {}
        half = len(pairs) // 2
        first = read(repo, pairs[:half], take, around=around, largest=largest)
        return first | read(repo, pairs[half:], take, around=around, largest=largest)
    return {pair: take(patch) for pair, patch in patches(out, pairs)}
