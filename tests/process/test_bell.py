"""A wait that a thread or a signal ends; a bell that did not ring would be waited for until the test's limit."""

from __future__ import annotations

import os
import signal
import threading
import time

from gitrelay.process.bell import Bell

LONG = 1000.0


def test_a_thread_ends_the_wait_and_a_ring_before_it_too() -> None:
    with Bell() as bell:
        thread = threading.Thread(target=bell.ring)
        thread.start()
        bell.wait(LONG)
        thread.join()
        for _ in range(100_000):  # more than the pipe holds
            bell.ring()
        bell.wait(LONG)


def test_a_signal_ends_the_wait() -> None:
    before = signal.signal(signal.SIGURG, lambda *_: None)
    try:
        with Bell() as bell:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGURG)).start()
            bell.wait(LONG)
    finally:
        signal.signal(signal.SIGURG, before)
    assert signal.set_wakeup_fd(-1) == -1, "it was put back"


def test_another_thread_waits_without_signals() -> None:
    def wait() -> None:
        with Bell() as bell:
            begin = time.monotonic()
            bell.wait(0.01)
            waited.append(time.monotonic() - begin)

    waited: list[float] = []
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert len(waited) == 1
