"""What git tells its pre-push hook: which refs a push is about to move."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote

_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")  # else it is an address, and nothing is tracked of it
_UPDATE = re.compile(r"(\S+) ([0-9a-f]{40,64}) (\S+) ([0-9a-f]{40,64})")


@dataclass(frozen=True)
class Update:
    """A line of what git tells its pre-push hook. An id of zeros is a ref that is deleted, or not there yet."""

    local_ref: str
    local: str
    remote_ref: str
    remote: str

    @property
    def deletes(self) -> bool:
        return not self.local.strip("0")

    @property
    def there(self) -> str | None:
        """The commit that the remote's ref is at now, None if the ref is new."""
        return self.remote if self.remote.strip("0") else None


def parse_updates(text: str) -> list[Update]:
    """The lines that git writes to its pre-push hook. Raises UsageError that quotes a line that is none of them."""
    found = []
    for line in text.splitlines():
        fields = _UPDATE.fullmatch(line)
        if fields is None:
            raise UsageError(
                f"{quote(line)} is not what git tells a pre-push hook",
                hint="'<local ref> <local id> <remote ref> <remote id>' lines on stdin; githooks(5)",
                code=Code.BAD_UPDATE,
            )
        found.append(Update(*fields.groups()))
    return found


def from_pre_commit(repo: Repository, environ: Mapping[str, str]) -> list[Update]:
    """The push that pre-commit, which reads git's lines itself, tells its hooks of; empty if it tells of none."""
    local, remote = environ.get("PRE_COMMIT_LOCAL_BRANCH", ""), environ.get("PRE_COMMIT_REMOTE_BRANCH", "")
    if not local or not remote:
        return []
    pushed = repo.ref(f"{environ.get('PRE_COMMIT_TO_REF') or local}^{{commit}}")
    if pushed is None:
        return []
    name = environ.get("PRE_COMMIT_REMOTE_NAME", "")
    tracked = repo.ref(f"refs/remotes/{name}/{remote.removeprefix('refs/heads/')}") if is_name(name) else None
    return [Update(local, pushed, remote, tracked or repo.no_object)]


def is_name(remote: str) -> bool:
    """Whether `remote` may be the name of a remote; else it is an address."""
    return _REMOTE.fullmatch(remote) is not None
