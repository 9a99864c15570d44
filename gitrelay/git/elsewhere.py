"""A repository, seen through files that lie elsewhere: those of a workspace, with an index of their own.

A workspace has a `.git` that is the peer's: git that looks at it there would run what the peer has configured. So its
files are asked about with the user's git directory, as if they were the user's working tree.
"""

from __future__ import annotations

import os
from pathlib import Path

from gitrelay.errors import RelayError
from gitrelay.git import listing
from gitrelay.git.repository import Repository


class Elsewhere(Repository):
    """`origin` with the files at `top` and the index `index`. `modules`: submodule below the top -> how it is seen.

    `origin` is seen from the user's own working tree, and everything that is not about files is asked there.
    """

    def __init__(self, origin: Repository, top: Path, index: Path, modules: dict[bytes, Elsewhere]) -> None:
        super().__init__(top, origin.git_dir, origin.common_dir, origin.object_format)
        self.origin = origin
        self.modules = modules
        self._index = index
        self.env = {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(top), "GIT_INDEX_FILE": str(index)}

    @property
    def index(self) -> Path:
        return self._index

    @property
    def listed_config(self) -> list[listing.Setting]:
        return self.origin.listed_config

    @property
    def home(self) -> Path:
        return self.origin.home


def module_at(repo: Repository, path: bytes) -> Repository | None:
    """The submodule that is checked out at `path`; None if its repository is not where git puts it.

    A `.git` folder in the working tree is a peer's to write: what it configures would run here.
    """
    if isinstance(repo, Elsewhere):
        return repo.modules.get(path)
    if repo.top is None:
        return None
    top = repo.top / os.fsdecode(path)
    try:
        if not (top / ".git").is_file():
            return None
        module = Repository.open(top)
    except (RelayError, OSError):
        return None
    inside = module.git_dir.is_relative_to(repo.common_dir / "modules")
    return module if inside and module.top == top else None
