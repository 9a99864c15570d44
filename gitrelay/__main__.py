"""`python -m gitrelay` and the entry point of `git-relay`."""

# The built-in half of `signal`, which would make enums of all numbers before anything could be done about Ctrl-C; it
# has no types of its own.
import _signal  # type: ignore[import-not-found]
import os

_WANTED = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler  # else the caller has it ignored
if _WANTED:  # while the program is being loaded there is nothing to tidy up
    _signal.signal(_signal.SIGINT, lambda *_: os._exit(130))

import gc  # noqa: E402
import sys  # noqa: E402

# Imports and what is read make many objects and hardly a cycle; the usual 700 has python look at them all the time.
gc.set_threshold(100_000)


def main() -> None:
    """Ctrl-C ends with 130 and no traceback, whenever it comes."""
    from gitrelay.cli import interrupts, run

    _open_streams()
    code = 130
    try:
        try:
            if _WANTED:
                interrupts.begin()
            code = run(sys.argv[1:])
        finally:
            if _WANTED:  # the work is done, and python's own end must not be disturbed
                _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    except BaseException as e:
        if not interrupts.among(e):
            raise
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
        code = 130
    _leave(code)


def _open_streams() -> None:
    """Open what the caller has closed of stdin, stdout and stderr, to nowhere: or the next file takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (for the life of the process)


def _leave(code: int) -> None:
    """End with `code`. Python would take its modules apart first, a fifth of the processor time of a command."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()  # waits for threads that are no daemons, as python does
    import atexit

    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # python has its own way to say that the output is lost
    os._exit(code)


if __name__ == "__main__":
    main()
