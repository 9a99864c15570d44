"""`python -m gitrelay` and the entry point of `git-relay`."""

from __future__ import annotations

import sys


def main() -> None:
    from gitrelay.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
