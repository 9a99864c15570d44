"""git's version is asked once for one program, and whatever the file says that keeps it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from support.repo import Repo

ASK = ("req", "--to", "shell", "--session", "s", "echo fine")


class Git:
    """A `git` first on PATH that notes what it is asked and says of itself that it is `version`."""

    def __init__(self, repo: Repo, folder: Path) -> None:
        self.repo, self.folder, self.log = repo, folder, folder / "log"
        self.becomes("2.39.5")
        self.env = {"PATH": f"{folder}:{repo.env['PATH']}"}

    def becomes(self, version: str) -> None:
        real = shutil.which("git", path=self.repo.env["PATH"])
        asked = f'[ "$1" = version ] && echo "git version {version}" && exit'
        path = self.folder / "git.new"
        path.write_text(f'#!/bin/sh\necho "$1" >>{self.log}\n{asked}\nexec {real} "$@"\n')
        path.chmod(0o755)
        path.rename(self.folder / "git")

    def asked(self, *words: str, code: int = 0) -> int:
        """How often its version was asked by one command."""
        self.log.write_text("")
        done = self.repo.relay(*words, env=self.env)
        assert done.code == code, done.err
        lines = self.log.read_text().splitlines()
        assert len(lines) > 1 or code
        return lines.count("version")


@pytest.fixture
def git(repo: Repo, tmp_path: Path) -> Git:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Git(repo, folder)


def test_the_version_is_asked_once_for_one_program(git: Git) -> None:
    assert git.asked("ls") == 1, "reads write nothing"
    assert git.asked("ls") == 1
    assert git.asked(*ASK) >= 1
    assert git.asked(*ASK) == 0
    assert git.asked("log", "s") == 0
    git.becomes("2.40.1.windows.1 (a wrapper)")
    assert git.asked("ls") == 1
    assert git.asked(*ASK) >= 1
    assert git.asked("ls") == 0
    git.becomes("2.29.3")
    assert git.asked("ls", code=4) == 1
    assert git.asked(*ASK, code=4) >= 1


def test_a_file_that_says_anything(git: Git) -> None:
    """An old git is refused and a new one used, and no file makes a difference or an error."""
    assert git.asked(*ASK) >= 1
    file = git.repo.path / ".git/relay/git.json"
    good = json.loads(file.read_bytes())
    odd = [b"[" * 3000, b"\xff", b"x" * 100_000]
    odd += [json.dumps({**good, "git": value}).encode() for value in ("9", [True, 1], [2, "39"])]
    odd += [json.dumps({**good, "program": None}).encode()]
    odd += [json.dumps({**good, "git": [1, 5]}).encode()]  # it is asked itself before it is refused
    for data in odd:
        file.write_bytes(data)
        assert git.asked("ls") == 1, data[:80]
    file.unlink()
    os.mkfifo(file)
    assert git.asked("ls") == 1
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert git.asked(*ASK) >= 1
    assert git.asked("ls") == 0 and not file.is_symlink()
