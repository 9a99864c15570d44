"""What git's index is believed to know of a file: nothing once the file was touched or if it cannot be told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gitrelay.git import cached
from support.repo import Repo


@pytest.mark.parametrize("words", [(), ("--object-format=sha256",)])
def test_only_untouched_files_are_known(tmp_path: Path, env: dict[str, str], words: tuple[str, ...]) -> None:
    folder = tmp_path / "repo"
    repo = Repo(folder, env)
    folder.mkdir()
    size = 32 if words else 20
    repo.git("init", "-q", *words)
    long = "x" * 250
    repo.sh(f"echo one > a; echo two > {long}; echo three > exec; chmod +x exec; mkdir f; echo 4 > f/'ä b'; git add .")
    index = folder / ".git/index"
    assert cached.read(index, size) == {}  # as young as the index
    later = time.time() + 100
    os.utime(index, (later, later))
    known = cached.read(index, size)
    assert set(known) == {"a", long, "exec", "f/ä b"}
    assert known["a"].oid == repo.git("rev-parse", ":a")
    assert all(one.is_same(os.stat(folder / name)) for name, one in known.items())

    (folder / "a").write_text("uno\n")
    assert not known["a"].is_same(os.stat(folder / "a"))
    before = os.stat(folder / long)
    (folder / long).write_text("owt\n")
    os.utime(folder / long, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not known[long].is_same(os.stat(folder / long))  # the ctime tells

    repo.git("update-index", "--index-version=4")
    assert cached.read(index, size) == {}
    data = index.read_bytes()
    for cut in (0, 3, 40, len(data) // 2):
        index.write_bytes(data[:cut])
        assert cached.read(index, size) == {}
    assert cached.read(folder / "none", size) == {}
