"""`python -m gitrelay` and the entry point of `git-relay`."""

from __future__ import annotations

import gc
import os
import sys

# Imports and what is read make many objects and hardly a cycle; the usual 700 has python look at them all the time.
gc.set_threshold(100_000)

try:
    import signal

    from gitrelay.errors import INTERRUPTED
except KeyboardInterrupt:
    os._exit(130)


def main() -> None:
    """Ctrl-C ends with 130 and no traceback, also while modules are still being loaded."""
    wanted = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else the caller has it ignored
    if wanted:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from gitrelay.cli import run

    try:
        if wanted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        if wanted:  # the work is done, and python's own end must not be disturbed
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
