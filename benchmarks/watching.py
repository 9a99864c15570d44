"""What `git relay watch` costs while nothing happens, against asking git for the branches once a second.

    python benchmarks/watching.py [SESSIONS] [SECONDS] [PAIRS]

Both look at the same repository for the same time, in turn; prints processor seconds an hour and the ratios,
asserts nothing. The clock counts in 10 ms: over 10 s that is 3.6 s an hour, so shorter runs than a minute say little.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from helping import helped
from make_history import make

WARM = 5.0  # seconds: start, first look, and stamps that are too young to be trusted


def processor(process: psutil.Process) -> float:
    """Seconds that the process and its ended children have used."""
    used = process.cpu_times()
    return float(used.user + used.system + used.children_user + used.children_system)


def an_hour(words: list[str], folder: Path, seconds: float) -> float:
    """Processor seconds an hour of a program that runs until it is ended."""
    ours, theirs = os.openpty()
    env = {**os.environ, "TERM": "xterm-256color"}
    running = subprocess.Popen(words, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        process = psutil.Process(running.pid)
        time.sleep(WARM)
        before, begin = processor(process), time.monotonic()
        time.sleep(seconds)
        return (processor(process) - before) / (time.monotonic() - begin) * 3600
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def main() -> None:
    sessions, seconds, pairs = (int(word) for word in (*sys.argv[1:], *("1000", "60", "3")[len(sys.argv) - 1 :]))
    ask = "while :; do git for-each-ref --format='%(refname) %(objectname)' refs/heads/relay/ >/dev/null; sleep 1; done"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, sessions=sessions, exchanges=1)
        watch = [sys.executable, "-m", "gitrelay", "watch"]
        for what, words in (("the board", watch), ("the plain lines", [*watch, "--plain"])):
            found = [
                (an_hour(words, folder, seconds), an_hour(["sh", "-c", ask], folder, seconds)) for _ in range(pairs)
            ]
            a, b = (statistics.median(side) for side in zip(*found, strict=True))
            ratio = statistics.median(x / y for x, y in found)
            print(f"{what}, {sessions} sessions: {a:.1f} s an hour, git once a second {b:.1f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    helped(__doc__)
    main()
