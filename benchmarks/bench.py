"""All benchmarks that compare pairs of commands, in one table: what, floor, today, ratio, bound.

    python benchmarks/bench.py [--quick] [--json FILE] [--compare FILE] [--docs] [SUITE]...

The processor time is that of everything that was started, the background process of a call included. No figure fails
the command: machines are noisy. `--json` writes the figures, `--compare` shows those of an earlier FILE beside them,
and `--docs` keeps them in benchmarks/figures.json and writes their table into docs/costs.md; of suites that were
not run, it keeps the figures that are there. A suite begins no further pair after SUITE seconds.

What needs a server, a browser or the real CLIs has a command of its own: gate, index, continuation, watching,
workspace, redaction.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import exporting
import fsck
import long_session
import overhead
import reading
import refs
import rounds
import snapshot
import waiting
from paired import Figure, adopt_orphans, end_within, table

HERE = Path(__file__).parent
FIGURES = HERE / "figures.json"
PAGE = HERE.parent / "docs/costs.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
SUITE = 100.0  # seconds
Suite = Callable[[], list[Figure]]
ALL: dict[str, Suite] = {
    "calls": lambda: overhead.measured(15),
    "waiting": lambda: waiting.measured(),
    "long": lambda: long_session.measured(5),
    "rounds": lambda: rounds.measured(5),
    "files": lambda: snapshot.measured(5),
    "reading": lambda: reading.measured(3),
    "fsck": lambda: fsck.measured(3),
    "export": lambda: exporting.measured(2),
    "refs": lambda: refs.measured(9),
}
QUICK: dict[str, Suite] = {
    "calls": lambda: overhead.measured(3, names=("req, one-shot", "req, turn", "status", "-h")),
    "files": lambda: snapshot.measured(3, 2_000),
}


def read(path: Path) -> list[Figure]:
    """The figures of a file that `--json` wrote."""
    return [Figure(**row) for row in json.loads(path.read_text())["figures"]]


def write(path: Path, rows: Sequence[Figure]) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, stdout=subprocess.PIPE, text=True).stdout.strip()
    about = {"commit": commit, "python": platform.python_version(), "machine": platform.platform()}
    value = {**about, "figures": [{k: _short(v) for k, v in asdict(row).items()} for row in rows]}
    path.write_text(json.dumps(value, indent=1) + "\n")


def _short(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def compared(rows: Sequence[Figure], before: Sequence[Figure]) -> str:
    """A line for each figure that is in both: ratios are compared, since times are those of a machine."""
    earlier = {(row.what, row.of): row for row in before}
    lines = ["| what | | ratio before | ratio now | now / before |", "|---|---|--:|--:|--:|"]
    for row in rows:
        old = earlier.get((row.what, row.of))
        if old is not None:
            lines.append(f"| {row.what} | {row.of} | {old.ratio:.2f} | {row.ratio:.2f} | {row.ratio / old.ratio:.2f} |")
    return "\n".join(lines)


def page(text: str, rows: Sequence[Figure]) -> str:
    """The page `text` with the table of `rows` between its two marks."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return f"{head}{begin}{table(rows)}\n{end}{tail}"


def merged(rows: Sequence[Figure], before: Sequence[Figure]) -> list[Figure]:
    """`before`, where each row that was measured again is replaced, and the rows that are new."""
    new = {(row.what, row.of): row for row in rows}
    kept = [new.pop((row.what, row.of), row) for row in before]
    return [*kept, *new.values()]


def run(suites: Mapping[str, Suite], failed: list[str]) -> Iterator[Figure]:
    """The rows of each suite; the names of those that failed go to `failed`. Each is told on stderr when it is over."""
    for name, measure in suites.items():
        begin = time.monotonic()
        end_within(SUITE)
        try:
            yield from measure()
        except (subprocess.SubprocessError, OSError) as e:
            failed.append(name)
            print(f"{name}: {e}", file=sys.stderr)
        print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(ALL)}; default: all")
    parser.add_argument("--quick", action="store_true", help="what takes well under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--compare", type=Path, metavar="FILE")
    parser.add_argument("--docs", action="store_true")
    given = parser.parse_args()
    suites = QUICK if given.quick else ALL
    unknown = set(given.suites) - set(suites)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(suites)}")
    adopt_orphans()
    failed: list[str] = []
    rows = list(run({n: suite for n, suite in suites.items() if not given.suites or n in given.suites}, failed))
    print(table(rows))
    if given.compare:
        print(compared(rows, read(given.compare)))
    if given.json:
        write(given.json, rows)
    if given.docs:
        write(FIGURES, merged(rows, read(FIGURES)) if given.suites or failed else rows)
        PAGE.write_text(page(PAGE.read_text(), read(FIGURES)))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
