"""A worker of the git engine in a process of its own: `python -m support.racing FOLDER URL LEASE`, then lines on stdin.

`poll` notes the open jobs, `claim N` claims the Nth as it was then, `drain` answers jobs until none is left;
`drain stop` and `drain kill` send that signal to the process itself when it has its first job.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from gitrelay import environment
from gitrelay.remote.queue.engines.git import GitQueue
from support.queues import Machine, machine

_SIGNALS = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}


def main() -> None:
    environment.scrub()
    folder, url, lease = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    own = machine(folder, url, folder.name, lease)
    assert isinstance(own.queue, GitQueue)
    entries = []
    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        if verb == "poll":
            entries = own.queue.poll(["codex"])
            said = str(len(entries))
        elif verb == "claim":
            _, outcome = own.queue._claimed(entries[int(rest)])
            said = outcome.value
        else:
            said = " ".join(drained(own, rest))
        print(said, flush=True)


def drained(own: Machine, sent: str) -> list[str]:
    """What became of each answer."""
    found: list[str] = []
    while list(own.queue.pending()):
        lease = own.queue.take(["codex"], 1)
        if lease is None:
            continue
        if sent and not found:
            os.kill(os.getpid(), _SIGNALS[sent])
        found.append(own.publish(lease).value)
        own.queue.settle(lease)
    return found


if __name__ == "__main__":
    main()
