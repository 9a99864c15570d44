"""gitrelay's git hooks in a repository: put there, taken away, listed.

They go where git looks: `core.hooksPath`, else the common git folder, which linked worktrees share. A hook that is
there already is kept in `<hook>.d/`, the same file under the same name, and ours runs it first; `remove` puts it back.
A file that git tracks is never touched: for a hooks folder of the working tree (husky's, for one) the line to
add is shown instead. Every hook says in one line which version it is and what its hash was, and pre-push in another
where the program is, for who pushes without a PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.peers import registry
from gitrelay.setup import shipped
from gitrelay.setup.shipped import digest

HOOKS: Final = ("pre-push", "update", "reference-transaction")
_PROGRAM: Final = re.compile(rb"^program='.*'$", re.MULTILINE)
_MARK: Final = re.compile(rb"^# gitrelay-hook: (?P<version>[0-9]+)(?: (?P<hash>[0-9a-f]{16}))?$", re.MULTILINE)

ABSENT: Final = "absent"
INSTALLED: Final = "installed"
OUTDATED: Final = "outdated"
EDITED: Final = "edited"
FOREIGN: Final = "foreign"


@dataclass(frozen=True)
class Hook:
    """A hook as it is: `state` is absent, installed, outdated, edited (ours, and changed) or foreign."""

    name: str
    path: Path
    state: str
    kept: Path | None  # the hook that ours runs first


@dataclass(frozen=True)
class Change:
    """What was done: `action` is installed, updated, unchanged, removed or left (it is not gitrelay's)."""

    hook: Hook
    action: str


def listing(repo: Repository) -> list[Hook]:
    """Every hook that gitrelay has, as it is where git looks for it."""
    folder = hooks_folder(repo)
    return [_look(folder, name) for name in HOOKS]


def install(
    repo: Repository,
    names: Sequence[str],
    *,
    reviewer: str | None = None,
    unevaluated: str | None = None,
    force: bool = False,
) -> list[Change]:
    """Put the hooks in place; note `reviewer` and `unevaluated` (`warn` or `block`) in the repository's configuration.

    All are looked at before one is written. Raises UsageError for what must not be touched.
    """
    folder = hooks_folder(repo)
    wanted = {"relay.gatePeer": reviewer, "relay.gateUnevaluated": unevaluated}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    _refuse_tracked(repo, folder, names, chosen)
    if "pre-push" in names:
        _check_reviewer(repo, reviewer)
    found = [_look(folder, name) for name in names]
    for hook in found:
        _refuse(hook, force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        changes = [_install(hook) for hook in found]
    except OSError as e:
        raise _cannot(folder, e) from e
    for name, value in chosen.items():
        repo.run("config", "--local", name, value)
    return changes


def remove(repo: Repository, names: Sequence[str], *, force: bool = False) -> list[Change]:
    """Take the hooks away and put back what was there. What is not gitrelay's is left."""
    folder = hooks_folder(repo)
    found = [_look(folder, name) for name in names]
    for hook in found:
        if hook.state == EDITED and not force:
            raise _edited(hook)
    try:
        return [_remove(hook) for hook in found]
    except OSError as e:
        raise _cannot(folder, e) from e


def hooks_folder(repo: Repository) -> Path:
    """Where git looks for hooks. Raises UsageError if it looks nowhere."""
    # gitrelay's own git is told /dev/null on its command line
    told = [value for value, where in repo.config.get("core.hookspath", []) if not where.startswith("command line")]
    if not told or not told[-1]:
        return repo.common_dir / "hooks"
    folder = repo.place / os.path.expanduser(told[-1])
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"core.hooksPath is {quote(told[-1])}: git runs no hooks here",
            hint="git config --show-origin core.hooksPath",
            code=Code.NO_HOOKS,
        )
    return folder


def _look(folder: Path, name: str) -> Hook:
    path = folder / name
    kept = _kept_at(path)
    there = kept if os.path.lexists(kept) else None
    if not os.path.lexists(path):
        return Hook(name, path, ABSENT, there)
    try:
        data = b"" if path.is_symlink() else path.read_bytes()
    except OSError:
        data = b""
    mark = _MARK.search(data)
    if mark is None:
        return Hook(name, path, FOREIGN, there)
    plain = _without_hash(data)
    if mark["hash"] is not None and mark["hash"].decode() != digest(plain):
        return Hook(name, path, EDITED, there)
    state = INSTALLED if plain == shipped.path("hooks", name).read_bytes() and os.access(path, os.X_OK) else OUTDATED
    return Hook(name, path, state, there)


def _install(hook: Hook) -> Change:
    if hook.state == INSTALLED:
        return Change(hook, "unchanged")
    source = shipped.path("hooks", hook.name).read_bytes()
    data = _MARK.sub(lambda m: m[0] + b" " + digest(source).encode(), source, count=1)
    data = _PROGRAM.sub(lambda m: b"program='" + os.fsencode(_program()) + b"'", data, count=1)
    new = hook.path.with_name(f".{hook.name}.{os.getpid()}.tmp")
    try:
        new.write_bytes(data)
        new.chmod(0o755)
        if hook.state == FOREIGN:
            _kept_at(hook.path).parent.mkdir(exist_ok=True)
            _copy_name(hook.path, _kept_at(hook.path))
        os.replace(new, hook.path)  # git finds the one or the other at any time
    finally:
        new.unlink(missing_ok=True)
    now = _look(hook.path.parent, hook.name)
    return Change(now, "installed" if hook.state in (ABSENT, FOREIGN) else "updated")


def _remove(hook: Hook) -> Change:
    if hook.state in (ABSENT, FOREIGN):
        return Change(hook, "left")
    kept = _kept_at(hook.path)
    if os.path.lexists(kept):
        _move_back(kept, hook.path)
    else:
        hook.path.unlink()
    if kept.parent.is_dir() and not any(kept.parent.iterdir()):
        kept.parent.rmdir()
    return Change(_look(hook.path.parent, hook.name), "removed")


def _kept_at(path: Path) -> Path:
    """Where the hook that was at `path` is kept: under its own name, which some hooks look at."""
    return path.with_name(f"{path.name}.d") / path.name


def _copy_name(path: Path, kept: Path) -> None:
    """The same file, its mode and times too, under a second name; a relative link is made to lead to the same."""
    if path.is_symlink():
        target = os.readlink(path)
        kept.symlink_to(target if os.path.isabs(target) else os.path.join("..", target))
    else:
        os.link(path, kept)


def _move_back(kept: Path, path: Path) -> None:
    if not kept.is_symlink() or os.path.isabs(os.readlink(kept)):
        os.replace(kept, path)
        return
    again = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    again.symlink_to(os.readlink(kept).removeprefix("../"))
    os.replace(again, path)
    kept.unlink()


# -- what is refused ----------------------------------------------------------------------------------


def _refuse(hook: Hook, force: bool) -> None:
    if hook.state == EDITED and not force:
        raise _edited(hook)
    folder = _kept_at(hook.path).parent
    if hook.state == FOREIGN and os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{quote_path(hook.path)} is not gitrelay's, and {folder.name} next to it is in use",
            hint=f"add this line to the hook yourself: {_line(hook.name)}",
            code=Code.IN_THE_WAY,
        )


def _refuse_tracked(repo: Repository, folder: Path, names: Sequence[str], chosen: Mapping[str, str]) -> None:
    """Raise UsageError if the hooks folder belongs to the working tree and not to gitrelay or the person alone.

    The hint has the line to add, and the commands for the settings `chosen`, which are not made then either.
    """
    if repo.top is None:
        return
    real, top = Path(os.path.realpath(folder)), Path(os.path.realpath(repo.top))
    inside_git = any(real.is_relative_to(os.path.realpath(place)) for place in (repo.git_dir, repo.common_dir))
    if inside_git or not real.is_relative_to(top):
        return
    below = real.relative_to(top)
    husky = below.parts[-2:] == (".husky", "_")
    if husky or repo.run("ls-files", "-z", "--", str(below) if below.parts else "."):
        file = str(below.parent if husky else below)
        settings = " && ".join(f"git config {name} {value}" for name, value in chosen.items())
        raise UsageError(
            f"git looks for hooks in {quote(str(below))}, which is part of the working tree: nothing was changed",
            hint=f"add to {file}/{names[0]}: {_line(names[0])}"
            + (f"; not set either, so run: {settings}" if chosen else ""),
            code=Code.TRACKED,
        )


def _line(name: str) -> str:
    """What somebody adds to a hook of theirs."""
    return (
        'git relay pre-push "$@"'
        if name == "pre-push"
        else f'sh {quote_path(shipped.path("hooks", name))} "$@" || exit'
    )


def _check_reviewer(repo: Repository, reviewer: str | None) -> None:
    """Raise UsageError if nobody would review, or somebody who cannot be held to read access."""
    name = reviewer or repo.setting("relay.gatepeer")
    if name is None:
        raise UsageError("pre-push needs a reviewer", hint="name one: --to codex", code=Code.NO_REVIEWER)
    able = registry.find(repo, name).capabilities
    if "read" not in (*able.access, *able.unheld):
        raise UsageError(
            f"peer {name} cannot be held to read access, and so cannot review",
            hint="name another with --to; 'git relay peers' lists them",
            code=Code.BAD_REVIEWER,
        )


def _edited(hook: Hook) -> UsageError:
    return UsageError(
        f"{quote_path(hook.path)} was edited after gitrelay wrote it",
        hint="keep a copy, then --force",
        code=Code.EDITED,
    )


def _cannot(folder: Path, error: OSError) -> CannotRecord:
    return CannotRecord(
        f"cannot change {quote_path(folder)}: {error.strerror}", hint="check who owns it", code=Code.CANNOT_WRITE
    )


def _without_hash(data: bytes) -> bytes:
    """The hook as it is shipped, without what installing it has filled in."""
    data = _PROGRAM.sub(b"program=''", data, count=1)
    return _MARK.sub(lambda m: b"# gitrelay-hook: " + m["version"], data, count=1)


def _program() -> str:
    """Where `git-relay` is, '' if that cannot be told or is no plain path."""
    beside = Path(sys.executable).with_name("git-relay")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("git-relay")
    found = os.path.abspath(found) if found else ""
    return found if found.isprintable() and "'" not in found else ""
