"""The end of a process that is nobody's child here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gitrelay.process.ending import ended_within
from support.waiting import patient


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pidfds")
def test_the_end_is_noticed_and_only_the_end() -> None:
    assert ended_within(os.getpid(), 0.01) is False
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert ended_within(child.pid, 0.0) is False
        assert child.stdin is not None
        child.stdin.close()
        assert ended_within(child.pid, patient(30)) is True
    assert ended_within(child.pid, patient(30)) is None, "gone, and told at once"
    assert ended_within(0, 1.0) is None and ended_within(-1, 1.0) is None
