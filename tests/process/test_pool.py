"""The fork pool of `fsck` and `export`: results in order, faults told, and no worker outlives the first process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gitrelay.process import pool
from support.places import ROOT
from support.repo import Repo, sealed_environment
from support.waiting import eventually, patient, processes_with


def _squared(number: int) -> tuple[int, int]:
    if number == 7:
        raise ValueError("seven")
    return number * number, os.getpid()


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_order_and_faults_are_raised(count: int) -> None:
    found = list(pool.each(_squared, range(6), count))
    assert [square for square, _ in found] == [0, 1, 4, 9, 16, 25]
    assert (os.getpid() in {pid for _, pid in found}) is (count == 1)
    with pytest.raises(ValueError, match="seven"):
        list(pool.each(_squared, range(9), count))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """3,000 exchanges in 150 sessions, which several processes read."""
    top = tmp_path_factory.mktemp("many")
    env = sealed_environment(top / "home")
    words = [sys.executable, str(ROOT / "benchmarks/make_history.py"), str(top / "repo"), "--sessions", "150"]
    subprocess.run(words, env={**env, "PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    return Repo(top / "repo", env)


@pytest.mark.skipif(pool.workers(2) < 2, reason="one processor, or no fork")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
@pytest.mark.parametrize("verb", ["fsck", "export"])
def test_no_worker_outlives_the_command(
    many: Repo, mark: dict[str, str], tmp_path: Path, verb: str, number: signal.Signals
) -> None:
    """The fixture `mark` sees that nobody is left."""
    ((name, value),) = mark.items()
    for attempt in range(5):
        words = [verb] if verb == "fsck" else [verb, "-o", str(tmp_path / f"site-{attempt}")]
        running = many.start(*words, env=mark)

        def forked(pid: int = running.pid) -> bool:
            """Two workers: they have the command line of the process that forked them."""
            try:
                first = psutil.Process(pid).cmdline()
                return sum(p.cmdline() == first for p in psutil.Process(pid).children()) >= 2
            except psutil.Error:
                return True

        assert eventually(lambda: forked() or running.poll() is not None)  # noqa: B023
        if running.poll() is None:
            os.kill(running.pid, number)
        _, err = running.communicate(timeout=patient(60))
        if running.returncode not in (0, 1):  # else it had ended before it could be ended
            break
    assert running.returncode not in (0, 1) and b"Traceback" not in err, err
    assert eventually(lambda: not processes_with(name, value)), "a worker is left"
