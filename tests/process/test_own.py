"""What is asked of processes without psutil is what psutil tells."""

from __future__ import annotations

import subprocess
import threading

import psutil
import pytest

from gitrelay.process import own


def test_when_a_process_was_created() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert abs(own.created(child.pid) - psutil.Process(child.pid).create_time()) < 0.5
    with pytest.raises(OSError):
        own.created(child.pid)


def test_whether_there_is_a_child_also_of_another_thread() -> None:
    for process in psutil.Process().children():
        process.wait()
    assert own.has_children() is False
    begun, go = threading.Event(), threading.Event()

    def start() -> None:
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
