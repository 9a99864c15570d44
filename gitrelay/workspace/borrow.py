"""The `.git` of a workspace: made by hand, without a template, so that no hook and no program comes in.

It borrows the caller's objects and has its own refs, configuration and HEAD. What a peer does there with git (stash,
branch, config, gc, worktree prune) changes nothing of the caller's. gitrelay itself never reads it back: its settings
and filters are the peer's by then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gitrelay.git.listing import Setting
from gitrelay.git.repository import Repository
from gitrelay.workspace.looking import Facts, Ref

# refs that are gitrelay's own, or hold what a peer must not take from the user
_NOT_LENT: Final = (
    "refs/relay/",
    "refs/heads/relay/",
    "refs/stash",
    "refs/prefetch/",
    "refs/bisect/",
    "refs/rewritten/",
    "refs/worktree/",
)
# files of the git directory that `git status` and `git diff` read, besides config, refs and index
_COMMON: Final = ("info/exclude", "info/attributes", "shallow")
_OWN: Final = ("info/sparse-checkout", "MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD")
_UNDER_WAY: Final = ("rebase-merge", "rebase-apply", "sequencer")  # folders; of what has stopped, for `git status`
_DROPPED: Final = ("core.worktree", "core.bare", "core.hookspath", "core.fsmonitor", "extensions.refstorage")


def make(repo: Repository, place: Path, facts: Facts, *, under_way: bool = True) -> None:
    """Make `place/.git`, without an index; with the caller's merge, if one is `under_way`. Raises OSError, GitError."""
    git = place / ".git"
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (git / name).mkdir(parents=True)
    lines = b"".join(_quoted(path) + b"\n" for path in _stores(repo))
    (git / "objects/info/alternates").write_bytes(lines)
    _write_refs(repo, git, facts)
    top = repo.top or repo.git_dir
    _write_config(repo, repo.common_dir / "config", git / "config", top)
    if repo.flag("extensions.worktreeconfig") and (repo.git_dir / "config.worktree").exists():
        _write_config(repo, repo.git_dir / "config.worktree", git / "config.worktree", top)
    for folder, names in ((repo.common_dir, _COMMON), (repo.git_dir, _OWN if under_way else _OWN[:1])):
        for name in names:
            _copy_plain(folder / name, git / name)
    for name in _UNDER_WAY if under_way else ():
        for path in (repo.git_dir / name).glob("*"):
            (git / name).mkdir(exist_ok=True)
            _copy_plain(path, git / name / path.name)
    for shared in repo.git_dir.glob("sharedindex.*"):
        _copy_plain(shared, git / shared.name)


def _copy_plain(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target)


# -- objects --------------------------------------------------------------------------------------


def _stores(repo: Repository) -> list[Path]:
    """Every folder that the caller's objects lie in, its own first.

    git follows alternates five deep, so a workspace of a workspace borrows from the first repository directly.
    """
    found: list[Path] = []
    todo = [repo.common_dir / "objects"]
    while todo and len(found) < 100:
        store = Path(os.path.realpath(todo.pop(0)))
        if store in found or not store.is_dir():
            continue
        found.append(store)
        todo += _alternates(store)
    return found


def _alternates(store: Path) -> Iterator[Path]:
    try:
        lines = (store / "info/alternates").read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        if line and not line.startswith((b"#", b'"')):
            yield store / os.fsdecode(line)


def _quoted(path: Path) -> bytes:
    """A path as a line of `info/alternates`, in C's quotes if it needs them (gitrepository-layout(5))."""
    raw = os.fsencode(path)
    if b"\n" not in raw and not raw.startswith((b"#", b'"')):
        return raw
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


# -- refs -----------------------------------------------------------------------------------------


def lent_refs(facts: Facts) -> list[Ref]:
    """Every ref that a workspace gets."""
    return [ref for ref in facts.refs if not ref.name.startswith(_NOT_LENT) and "/relay/" not in ref.name]


def _write_refs(repo: Repository, git: Path, facts: Facts) -> None:
    packed = []
    for ref in lent_refs(facts):
        if ref.points_to:
            (git / ref.name).parent.mkdir(parents=True, exist_ok=True)
            (git / ref.name).write_text(f"ref: {ref.points_to}\n")
        else:
            packed.append(f"{ref.oid} {ref.name}\n")
    if packed:  # git refuses a file with an empty line in it
        (git / "packed-refs").write_text("".join(packed))
    _own_tags(repo, git, facts)
    (git / "HEAD").write_bytes(os.fsencode(facts.head) + b"\n")
    if not facts.head.startswith("ref: "):
        _write_reflog(repo, git)


def _own_tags(repo: Repository, git: Path, facts: Facts) -> None:
    """Annotated tags become objects of the workspace's own: no commit of the caller's can keep them alive."""
    tags = "".join(f"{ref.oid}\n" for ref in facts.refs if ref.kind == "tag" and ref.name.startswith("refs/tags/"))
    if tags:
        repo.run("pack-objects", "-q", str(git / "objects/pack/pack"), stdin=tags.encode())


def _write_reflog(repo: Repository, git: Path) -> None:
    """The last move to a detached HEAD: `git status` reads there what it was detached at."""
    try:
        lines = (repo.git_dir / "logs/HEAD").read_bytes().splitlines(keepends=True)
    except OSError:
        return
    moved = [line for line in lines if b"\tcheckout: moving from " in line]
    if moved:
        (git / "logs").mkdir()
        (git / "logs/HEAD").write_bytes(moved[-1])


# -- configuration --------------------------------------------------------------------------------


def _write_config(repo: Repository, source: Path, target: Path, top: Path) -> None:
    """The settings of one file, less what would point the workspace at the caller; relative paths made absolute."""
    lines = ["[core]\n\tbare = false\n"] if source.name == "config" else []
    for name, value in _entries(repo.config_of(source)):
        if name in _DROPPED:
            continue
        section, _, rest = name.partition(".")
        subsection, _, key = rest.rpartition(".")
        if section in ("include", "includeif") and key == "path" and value is not None:
            value = _beside(source.parent, value)
        elif section == "remote" and key in ("url", "pushurl") and value is not None and _is_relative(value):
            value = os.path.normpath(top / value)
        head = f"[{section} {_words(subsection)}]" if subsection else f"[{section}]"
        lines.append(f"{head}\n\t{key}" + (f" = {_words(value)}\n" if value is not None else "\n"))
    target.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))


def _entries(found: Iterable[Setting]) -> Iterator[tuple[str, str | None]]:
    for one in found:
        value = None if one.value is None else one.value.decode("utf-8", "surrogateescape")
        yield one.name.decode("utf-8", "surrogateescape"), value


def _words(text: str) -> str:
    """A value, or the name of a subsection, in git's quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _beside(folder: Path, value: str) -> str:
    return value if value.startswith(("/", "~", "%(")) else os.path.join(folder, value)


def _is_relative(url: str) -> bool:
    """Whether a remote's URL is a path that git reads from the top of the working tree."""
    return url.startswith(("./", "../")) or (":" not in url and not url.startswith("/"))
