"""How much of a repository lies loose, and git's own commands that pack it: `gc --auto`, `pack-refs`, `commit-graph`.

All run with the user's settings. Nothing that is reachable changes; what is not is pruned as `gc.pruneExpire` says,
and never before it is a day old: a call that runs now may name it in a moment.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Final

from gitrelay.git.repository import Repository
from gitrelay.protocol.record import ARCHIVE, BRANCHES, CODE, STEPS

GC_AUTO: Final = 6700  # git's default of gc.auto: loose objects
_SAMPLE: Final = tuple(f"{number:02x}" for number in range(0x17, 0x100, 8))  # folders; git itself looks at 17 only
_CLOSE: Final = 0.9  # of the threshold: from here on all folders are counted
_YOUNG: Final = 86400  # seconds
_LIMIT: Final = 3600.0  # seconds; `git gc` of a large repository takes minutes


def threshold(repo: Repository) -> int:
    """The loose objects from which git packs by itself, the user's `gc.auto`; 0 if it never does."""
    text = (repo.users_setting("gc.auto") or str(GC_AUTO)).strip().lower()
    found = re.fullmatch(r"([+-]?\d{1,12})([kmg]?)", text)
    if found is None:
        return GC_AUTO
    return max(0, int(found[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[2]])


def loose_objects(repo: Repository, near: int = 0) -> int:
    """How many objects lie loose: estimated from an eighth of the folders, counted if that is close to `near`."""
    store = repo.common_dir / "objects"
    estimate = sum(_count(store / name) for name in _SAMPLE) * 256 // len(_SAMPLE)
    if estimate < near * _CLOSE:
        return estimate
    return sum(_count(store / f"{number:02x}") for number in range(256))


def loose_refs(repo: Repository) -> int:
    """How many refs of sessions lie in a file each."""
    return sum(_count(repo.common_dir / prefix) for prefix in (BRANCHES, ARCHIVE, CODE, STEPS))


def _count(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(folder))
    return 0


def packs_refs(repo: Repository) -> bool:
    """Whether `git gc` packs refs here, the user's `gc.packRefs`."""
    text = (repo.users_setting("gc.packrefs") or "true").lower()
    return text in ("true", "yes", "on", "1") or (text == "notbare" and repo.top is not None)


def pack_refs(repo: Repository) -> None:
    """All refs into one file. Raises GitError."""
    repo.run("pack-refs", "--all", "--prune", limit=_LIMIT)


def write_graph(repo: Repository) -> None:
    """The file that tells git of commits without opening each, as `git gc` writes it; not if the user wants none.

    Raises GitError.
    """
    wanted = (repo.users_setting(name) or "true" for name in ("core.commitgraph", "gc.writecommitgraph"))
    if all(value.lower() in ("true", "yes", "on", "1") for value in wanted):
        repo.run("commit-graph", "write", "--reachable", "--split", "--no-progress", limit=_LIMIT)


def pack_objects(repo: Repository, *, prune: bool) -> None:
    """`git gc --auto`, which waits for its end here. Without `prune` nothing is deleted. Raises GitError."""
    words = ("-c", "gc.auto=1", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet")
    repo.run(*words, *(_expiry(repo) if prune else ["--no-prune"]), limit=_LIMIT)


def _expiry(repo: Repository) -> list[str]:
    """The option that keeps what is younger than a day, if the user's own setting does not."""
    expire = repo.users_setting("gc.pruneexpire")
    if expire is None:
        return []
    out = repo.run("rev-parse", f"--since={expire}").decode().strip().removeprefix("--max-age=")
    return [] if out.isdigit() and int(out) <= time.time() - _YOUNG else ["--prune=1.day.ago"]
