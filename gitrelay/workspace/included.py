"""Ignored files that a workspace gets all the same: copied, never linked.

`relay.include` is the user's own (git config). `.worktreeinclude` is in the repository, so that a peer or a pull
request may write it: it is read from HEAD, and only if `relay.worktreeInclude` is not false. Patterns are those of
.gitignore; what they name is copied if git ignores it. A link that leads out of the tree is left out, and so is
everything beyond the limits; both are named.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gitrelay.git.repository import Repository

FILE: Final = ".worktreeinclude"
MAX_FILES: Final = 20_000
MAX_BYTES: Final = 2_000_000_000


def patterns(repo: Repository) -> list[str]:
    """The lines that say what is included."""
    lines = [value for value, _ in repo.config.get("relay.include", [])]
    if repo.flag("relay.worktreeinclude") is not False and repo.top is not None and (repo.top / FILE).is_file():
        found = repo.objects([f"HEAD:{FILE}"])[0]
        if found is not None and found.kind == "blob":
            lines += found.data.decode("utf-8", "surrogateescape").splitlines()
    return [line for line in lines if line.strip() and "\0" not in line]


def chosen(repo: Repository, known: Iterable[bytes], named: Sequence[str] = ()) -> tuple[list[bytes], dict[bytes, str]]:
    """(the ignored files that are included, those that are not although they are named, with the reason).

    `known` is what is copied anyway; `named` are paths of the user's, below the top or from the current folder. Raises
    OSError, GitError.
    """
    there = set(known)
    own = (path for path in _below_top(repo, named) if os.fsencode(path) not in there)
    lines = patterns(repo) + [f"/{_escaped(path)}" for path in own]
    if not lines or repo.top is None:
        return [], {}
    with tempfile.NamedTemporaryFile(dir=repo.common_dir) as f:
        f.write("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
        f.flush()
        words = ("ls-files", "-z", "--others", "--ignored", f"--exclude-from={f.name}")
        out = repo.run(*words, users=True)
    names = [name for name in out.split(b"\0")[:-1] if name not in there and not name.startswith(b".relay/")]
    found: list[bytes] = []
    left: dict[bytes, str] = {}
    room = MAX_BYTES
    for name in names:
        path = os.path.join(os.fsencode(repo.top), name)
        try:
            room -= os.lstat(path).st_size
        except OSError:
            continue
        if len(found) >= MAX_FILES or room < 0:
            left[name] = f"more than {MAX_FILES} files or {MAX_BYTES // 10**9} GB are included"
            break
        if os.path.islink(path) and _leads_out(repo.top, path):
            left[name] = "a link that leads out of the tree"
        else:
            found.append(name)
    return found, left


def _below_top(repo: Repository, named: Sequence[str]) -> list[str]:
    """Those of `named` that are files below the top, and claude's settings of this machine, which git ignores."""
    if repo.top is None:
        return []
    found = [path for path in (".claude/settings.local.json",) if (repo.top / path).is_file()]
    for name in named:
        for place in (Path.cwd(), repo.top):
            path = Path(os.path.normpath(place / name))
            if path.is_relative_to(repo.top) and path.is_file():
                found.append(os.path.relpath(path, repo.top))
                break
    return [path for path in found if "\n" not in path]


def _escaped(path: str) -> str:
    """A path as a pattern that means itself."""
    return re.sub(r"([\\*?\[ !#])", r"\\\1", path)


def _leads_out(top: Path, link: bytes) -> bool:
    target = os.readlink(link)
    inside = os.path.normpath(os.path.join(os.path.dirname(link), target))
    return target.startswith(b"/") or not inside.startswith(os.fsencode(top) + b"/")
