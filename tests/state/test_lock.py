"""Locks and whole files: what is held is known, what is released leaves no file, what is written is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitrelay.errors import Busy
from gitrelay.state.files import write_whole
from gitrelay.state.folder import State
from gitrelay.state.lock import Lock, is_held


def test_a_held_lock_is_known_and_taken_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "s.lock"
    assert not is_held(path)
    first, second = Lock(path), Lock(path)
    assert first.try_acquire() and is_held(path)
    with pytest.raises(Busy, match=r"turn 01 is locked by another process for more than 0\.01 s"):
        second.acquire(0.01, what="turn 01")
    first.release()
    assert not path.exists()
    second.acquire(0)
    assert is_held(path)
    second.release()


def test_a_lock_whose_file_was_removed_is_taken_at_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "s.lock"
    first = Lock(path)
    assert first.try_acquire()
    path.unlink()
    second = Lock(path)
    assert second.try_acquire()
    first.release(remove=False)
    assert is_held(path)
    second.release()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder", b"three")
    assert sorted(os.listdir(tmp_path)) == ["call.json", "folder"]


def test_the_folder_is_made_again_after_it_was_deleted(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.prepare()
    made = sorted(p.name for p in state.root.iterdir())
    assert made == ["README", "calls", "locks", "logs"]
    for path in [*state.root.glob("*/"), state.root / "README"]:
        path.rmdir() if path.is_dir() else path.unlink()
    state.prepare()
    assert sorted(p.name for p in state.root.iterdir()) == made
