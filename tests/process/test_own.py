"""What is asked of processes without psutil is what psutil tells."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from gitrelay.process import own
from support.waiting import patient


def test_when_a_process_was_created() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert abs(own.created(child.pid) - psutil.Process(child.pid).create_time()) < 0.5
    with pytest.raises(OSError):
        own.created(child.pid)


# in a process of its own, because one that runs tests has children
CHILD_OF_A_THREAD = """
import subprocess, threading
from gitrelay.process import own

assert own.has_children() is False
begun, go = threading.Event(), threading.Event()

def start():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE):
        begun.set()
        go.wait()

thread = threading.Thread(target=start)
thread.start()
assert begun.wait(60)
try:
    assert own.has_children() is True
finally:
    go.set()
    thread.join()
assert own.has_children() is False
print("all seen")
"""


def test_whether_there_is_a_child_also_of_another_thread() -> None:
    words = [sys.executable, "-P", "-c", CHILD_OF_A_THREAD]
    done = subprocess.run(words, capture_output=True, text=True, timeout=patient(90))
    assert (done.returncode, done.stdout) == (0, "all seen\n"), done.stderr
