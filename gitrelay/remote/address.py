"""A remote as sharing needs it: one name, and exactly one address that is read from and written to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass

_NAME: Final = re.compile(
    r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*"
)  # what may be a part of a ref below refs/relay/


@dataclass(frozen=True)
class Remote:
    """A remote of this repository. `url` is where its refs are read, compared and written.

    With an address of its own for pushes (`remote.NAME.pushurl`, `url.X.pushInsteadOf`) that one is `url`: what was
    written can only be verified where it was written. `upload` and `receive` are options: the programs that git is to
    start there.
    """

    name: str
    url: str
    upload: tuple[str, ...] = ()
    receive: tuple[str, ...] = ()


def remote(repo: Repository, name: str | None, *, pushes: bool = True) -> Remote:
    """The remote `name`, or the default one: `remote.pushDefault`, the branch's own, `origin`, the only one.

    `pushes`: it is written to, so its push address is taken. Raises UsageError for an unknown remote, and for one
    with several addresses: a push would reach them one after the other, and they need not agree.
    """
    known = names(repo)
    if name is None:
        name = _default(repo, known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"there is no remote {quote(name)}" + (f"; did you mean {near[0]}?" if near else ""),
            hint=f"git remote add {name if _NAME.fullmatch(name) else 'NAME'} URL; 'git remote -v' lists the remotes",
            code=Code.UNKNOWN_REMOTE,
        )
    if _NAME.fullmatch(name) is None or ".." in name or name.endswith((".lock", ".")):
        raise UsageError(
            f"remote {quote(name)}: what it has shown cannot be kept under that name",
            hint="git remote rename it: letters, digits, '-', '_' and '.'",
            code=Code.UNKNOWN_REMOTE,
        )
    words = ["remote", "get-url", *(["--push"] if pushes else []), "--all", "--", name]
    urls = repo.run(*words).decode("utf-8", "surrogateescape").splitlines()
    if pushes and len(urls) != 1:
        raise UsageError(
            f"remote {quote(name)} has {len(urls)} push addresses: {', '.join(quote(url) for url in urls[:3])}",
            hint="sessions go to one: give each a remote of its own, 'git remote add NAME URL'",
            code=Code.TWO_ADDRESSES,
        )
    return Remote(name, urls[0], _program(repo, name, "uploadpack"), _program(repo, name, "receivepack"))


def names(repo: Repository) -> list[str]:
    """The remotes that have an address, `origin` first."""
    keys = [key for key in repo.config if key.startswith("remote.") and key.endswith((".url", ".pushurl"))]
    found = {key.removeprefix("remote.").rpartition(".")[0] for key in keys}
    return sorted(found, key=lambda name: (name != "origin", name))


def _default(repo: Repository, known: Sequence[str]) -> str:
    """The remote that is meant if none is named. Raises UsageError if there is none, or several and no `origin`."""
    head = repo.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1), place=repo.place).decode("utf-8", "surrogateescape")
    branch = head.strip().removeprefix("refs/heads/")
    keys = (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote")
    configured = (repo.setting(key) for key in keys)
    for name in (*configured, "origin"):
        if name in known:
            return str(name)
    if len(known) == 1:
        return known[0]
    words = f"several remotes and none is called origin: {', '.join(known[:5])}" if known else "there is no remote"
    raise UsageError(
        words, hint="name one: git relay push NAME" if known else "git remote add origin URL", code=Code.UNKNOWN_REMOTE
    )


def _program(repo: Repository, name: str, kind: str) -> tuple[str, ...]:
    value = repo.setting(f"remote.{name}.{kind}")
    option = {"uploadpack": "--upload-pack", "receivepack": "--receive-pack"}[kind]
    return (f"{option}={value}",) if value else ()
