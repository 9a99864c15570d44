"""Which refs are sessions: told by the root commit, because a branch below `relay/` may belong to somebody else."""

from __future__ import annotations

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, STEPS, Trailer, parse_raw, trailers_of_text


def is_session(repo: Repository, tip: str) -> bool:
    """Whether the commits behind `tip` (an object id) are one line that begins as a session does.

    False if a commit of it has a second parent, which may lead anywhere, or if it cannot be read.
    """
    try:
        out = repo.run("rev-list", "--parents", "--end-of-options", tip, "--").decode().splitlines()
    except GitError:
        return False
    if not out or any(line.count(" ") > 1 for line in out):
        return False
    return is_root(repo, out[-1])


def begins(repo: Repository, tip: str) -> bool:
    """Whether the first parents of `tip` lead to a session's root; True too if they cannot be read."""
    try:
        words = ("rev-list", "--first-parent", "--max-parents=0", "--end-of-options", tip, "--")
        out = repo.run(*words).decode().split()
    except GitError:
        return True
    return len(out) == 1 and is_root(repo, out[0])


def foreign(repo: Repository) -> set[str]:
    """The branches below `relay/` that are somebody else's: no trailer of ours at the tip, and no session's root.

    A branch whose session has files under `refs/relay/code/` is not among them: it was a session once.
    """
    format_ = "%(refname)%00%(objectname)%00%(contents:trailers:only,unfold)"
    try:
        rows = repo.each_ref(format_, BRANCHES)
    except GitError:
        return set()  # one of them is damaged; who reads them says which
    strange = [(ref, oid) for ref, oid, text in rows if "Relay-" not in text]
    code = {row[0].removeprefix(CODE) for row in repo.each_ref("%(refname)", CODE)} if strange else set()
    return {ref for ref, oid in strange if ref.removeprefix(BRANCHES) not in code and not begins(repo, oid)}


def is_root(repo: Repository, oid: str) -> bool:
    """Whether a commit opens a session: no parent, the empty tree, the subject and the trailer of the kind."""
    (commit,) = repo.objects([oid])
    if commit is None or commit.kind != "commit":
        return False
    head = commit.data.partition(b"\n\n")[0].split(b"\n")
    said = parse_raw(commit.oid, commit.data)
    return (
        head[0] == b"tree " + repo.empty_tree.encode()
        and not any(line.startswith(b"parent ") for line in head)
        and said.subject.startswith("open ")
        and Trailer.VERSION in said.trailers
    )


def is_recorded(repo: Repository, ref: str, tip: str) -> bool:
    """Whether `tip` under the name `ref` is part of the record: a session, or the files that a session here names."""
    if ref.startswith(CODE):
        return _is_code(repo, ref.removeprefix(CODE), tip)
    if ref.startswith(STEPS):
        return _is_steps(repo, tip)
    return ref.startswith(("refs/heads/relay/", "refs/relay/")) and is_session(repo, tip)


def _is_steps(repo: Repository, tip: str) -> bool:
    """Whether each commit of the line at `tip` holds files of steps and nothing else."""
    from gitrelay.protocol.steps import FILE

    try:
        out = repo.run("log", "--format=%T %P", "--end-of-options", tip, "--")
    except GitError:
        return False
    rows = [line.split() for line in out.decode().splitlines()]
    trees = repo.objects([row[0] for row in rows])
    return bool(rows) and all(
        len(row) <= 2 and tree is not None and all(FILE.fullmatch(entry.name) for entry in repo.tree_entries(tree.data))
        for row, tree in zip(rows, trees, strict=True)
    )


def _is_code(repo: Repository, session: str, tip: str) -> bool:
    """Whether each tree of the line at `tip` is one that the session's commits name."""
    named: set[str] = set()
    for place in (BRANCHES + session, ARCHIVE + session):
        if repo.ref(place) is None:
            continue
        out = repo.run("log", "--format=%(trailers:only,unfold)", "--end-of-options", place, "--")
        lines = out.decode("utf-8", "replace").splitlines()
        named |= {trailers_of_text(line).get(Trailer.TREE, "") for line in lines}
    try:
        out = repo.run("log", "--format=%T %P", "--end-of-options", tip, "--")
    except GitError:
        return False
    rows = [line.split() for line in out.decode().splitlines()]
    return bool(rows) and all(len(row) <= 2 and row[0] in named for row in rows)
