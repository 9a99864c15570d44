"""Waiting for what other processes do, longer if the machine has much else to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

_MOST = 20.0  # times; a machine with more to do gets nothing done


def patient(limit: float) -> float:
    """`limit` seconds of an idle machine in seconds of this one as it is now.

    The factor is GITRELAY_TEST_PATIENCE, else the number of processes that want to run for each core, from 1 to 20.
    """
    given = os.environ.get("GITRELAY_TEST_PATIENCE")
    if given:
        return limit * float(given)
    return limit * min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), _MOST)


def eventually(condition: Callable[[], bool], limit: float = 20.0) -> bool:
    """Whether `condition` comes true within `patient(limit)` seconds; it is asked again every 20 ms."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun >= patient(limit):
            return False
        time.sleep(0.02)
    return True


def processes_with(name: str, value: str) -> list[psutil.Process]:
    """The live processes that were started with `name=value` in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
