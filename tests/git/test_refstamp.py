"""The times of the refs' files tell that a ref was written, however git writes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitrelay.git.refstamp import Stamp, newest, stamp
from gitrelay.protocol.record import ARCHIVE, BRANCHES
from support import newgit


@pytest.mark.parametrize("kind", ["files", "reftable"])
def test_every_way_to_write_a_ref_is_seen(tmp_path: Path, kind: str) -> None:
    git = "git" if kind == "files" else str(newgit.require() / "git")
    words = ["--ref-format=reftable"] if kind == "reftable" else []

    def run(*more: str) -> str:
        return subprocess.run(
            [git, "-C", str(tmp_path), *more], capture_output=True, text=True, check=True
        ).stdout.strip()

    def now() -> Stamp:
        return stamp(tmp_path / ".git", (BRANCHES, ARCHIVE))

    run("init", "-q", *words)
    tree = run("mktree")
    one, two = (run("-c", "user.name=u", "-c", "user.email=u@u", "commit-tree", "-m", m, tree) for m in ("1", "2"))
    seen = [now()]
    for step in (
        ("update-ref", "refs/heads/relay/a", one),
        ("update-ref", "refs/heads/relay/a", two),
        ("pack-refs", "--all"),
        ("update-ref", "refs/heads/relay/a", one),
        ("update-ref", "refs/relay/archive/a", one),
        ("update-ref", "-d", "refs/heads/relay/a"),
    ):
        # two within one moment of the file system are not told: the next is written when the time is another one
        clock, before = tmp_path / "clock", seen[-1]
        clock.touch()
        while clock.stat().st_mtime <= newest(before):
            clock.touch()
        run(*step)
        seen.append(now())
        assert seen[-1] != before or step[0] == "pack-refs", step  # which may find nothing to do
    assert now() == seen[-1]
