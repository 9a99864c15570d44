"""The audit in this process, which costs no start of a program."""

from __future__ import annotations

import os

import pytest

from gitrelay.audit import inspection
from gitrelay.git.repository import Repository
from support.repo import Repo


def inspected(repo: Repo) -> inspection.Report:
    """What `git relay fsck` finds in `repo`, with the environment of the tests' own processes."""
    with pytest.MonkeyPatch.context() as patched:
        for name in os.environ.keys() - repo.env.keys():
            patched.delenv(name)
        for name, value in repo.env.items():
            patched.setenv(name, value)
        return inspection.inspect(Repository.open(repo.path))
