"""Which repository is meant, and a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gitrelay import environment
from gitrelay.errors import CannotRecord, Code, RelayError, UsageError
from gitrelay.git.faults import classified, last_line
from gitrelay.git.run import execute
from gitrelay.ground.text import quote_path


def no_repository(folder: Path, err: str) -> RelayError:
    """The error if git finds no repository from `folder` on, or cannot open it; `err` is what git said."""
    if "not a git repository" in err:
        return UsageError(
            f"{quote_path(folder)} is not in a git repository",
            hint="change into one, or make one with 'git init'",
            code=Code.NOT_A_REPOSITORY,
        )
    return CannotRecord(
        f"git cannot open the repository at {quote_path(folder)}: {last_line(err)}", code=Code.GIT_CANNOT_OPEN
    )


def refuse_other(own: Path, common: Path, top: Path | None, folder: Path) -> None:
    """Raise UsageError if GIT_DIR or GIT_WORK_TREE name another repository than the one `folder` is in.

    That one has the git directory `own`, the common directory `common`, and the working tree `top`.
    """
    named = environment.named_repository()
    if not named or folder != Path.cwd():
        return
    git_dir, tree = named.get("GIT_DIR"), named.get("GIT_WORK_TREE")
    if git_dir is not None and common.resolve() not in _repositories(Path(git_dir)):
        name, value, here = "GIT_DIR", git_dir, own
    elif tree is not None and top is not None and Path(tree).resolve() != top.resolve():
        name, value, here = "GIT_WORK_TREE", tree, top
    else:
        return
    raise UsageError(
        f"{name} names {quote_path(value)}, and the folder is in {quote_path(here)}",
        hint=f"the folder decides: 'unset {name}', or change into the other one (git relay -C DIR)",
        code=Code.NOT_A_REPOSITORY,
    )


def _repositories(git_dir: Path) -> Iterator[Path]:
    """The common directory that a GIT_DIR, which may be a worktree's or a file that names one, belongs to."""
    with contextlib.suppress(OSError, ValueError):
        if git_dir.is_file():
            git_dir = git_dir.parent / git_dir.read_text().removeprefix("gitdir:").strip()
        common = git_dir / "commondir"
        yield (git_dir / common.read_text().strip() if common.is_file() else git_dir).resolve()


def create_repository(place: Path) -> None:
    """`git init` in an empty folder, without the user's templates (they may bring hooks)."""
    status, _, err = execute(place, ["init", "--quiet", "--template="])
    if status:
        raise classified(["init"], status, err)
