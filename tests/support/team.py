"""Two clones of one bare repository, each with an environment of its own machine."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from support.repo import Repo


@dataclass(frozen=True)
class Team:
    """`one` has the session `s` of one turn, and nothing of it is at `origin`; `two` is made by `clone`."""

    one: Repo
    origin: Path

    def clone(self, name: str = "two") -> Repo:
        """A plain `git clone` of what is at origin now."""
        path = self.one.path.parent / name
        self.one.sh(f"git clone -q {shlex.quote(str(self.origin))} {shlex.quote(str(path))}")
        return Repo(path, self.one.env)

    def there(self, prefix: str = "refs/") -> dict[str, str]:
        """The refs of origin that begin with `prefix`, and what they stand for."""
        rows = self.one.git("-C", str(self.origin), "for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(row.split(" ") for row in rows.splitlines())

    def at(self, *words: str) -> str:
        """git in the bare repository."""
        return self.one.git("-C", str(self.origin), *words)


def made(repo: Repo) -> Team:
    """`repo` with a bare repository as `origin`, which has its branch main."""
    origin = repo.path.parent / "origin.git"
    repo.sh(f"git init -q --bare {shlex.quote(str(origin))}; git remote add origin {shlex.quote(str(origin))}")
    repo.sh("git push -q origin main")
    return Team(repo, origin)


def turn(repo: Repo, session: str, task: str = "echo more") -> None:
    """One more turn of a session, by the shell."""
    done = repo.relay("req", "--from", "uma", "--to", "shell", "--session", session, task)
    assert done.code == 0, done.err
