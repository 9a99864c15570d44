"""The words that a script here is given: `-h` and `--help` print what the script says about itself.

A module that is no script says it too: `python benchmarks/paired.py --help`.
"""

from __future__ import annotations

import sys


def helped(doc: str | None) -> None:
    """Print `doc`, the script's docstring, and end if help was asked for; end with 2 for an option it does not name."""
    said = (doc or "").strip()
    for word in sys.argv[1:]:
        if word in ("-h", "--help"):
            print(said)
            raise SystemExit(0)
        if word.startswith("-") and word.partition("=")[0] not in said:
            name = sys.argv[0]
            print(f"unknown option {word!r}; see: python {name} --help", file=sys.stderr)
            raise SystemExit(2)


if __name__ == "__main__":
    helped(__doc__)
