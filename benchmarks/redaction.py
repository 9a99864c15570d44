"""Redaction: hit and false-alarm rates over the tests' corpus, what it costs to load, and what a message costs.

    python benchmarks/redaction.py

The table has the scanners of scanners.py that are on PATH beside gitrelay, over the same texts. "found": some of a
secret is in a finding; "whole": three quarters of it are, so that it is gone if the findings are taken out. Its last
column is wall time with the start of the scanner; all other times are processor time, the median of several runs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import scanners  # noqa: E402
from helping import helped  # noqa: E402

from gitrelay.redact import Redactor  # noqa: E402
from support import redact_corpus  # noqa: E402
from support.redact_corpus import Secret  # noqa: E402

MIB = 1024 * 1024


def seconds(work: Callable[[], object], runs: int) -> float:
    """Processor seconds of one run, the median; the first one, which compiles, is left out."""
    work()
    times = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def loading(code: str) -> float:
    """Milliseconds that `code` takes in a fresh interpreter that has dataclasses and re already."""
    program = f"import dataclasses, re, time\nbegin = time.process_time()\n{code}\nprint(time.process_time() - begin)"
    runs = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    return 1000 * statistics.median(runs)


def row(
    name: str, secrets: Sequence[Secret], found: Sequence[Sequence[str]], alarms: Sequence[int], took: float
) -> None:
    """Print a line of the table. `found`: the values that were found in the text of each secret."""
    pairs = list(zip(secrets, found, strict=True))
    seen = sum(left(one.secret, values) < len(one.secret) for one, values in pairs)
    whole = sum(left(one.secret, values) <= len(one.secret) // 4 for one, values in pairs)
    wrong = sum(map(bool, alarms))
    print(
        f"| {name:14} | {100 * seen / len(secrets):5.1f} % | {100 * whole / len(secrets):5.1f} % "
        f"| {wrong:4} ({100 * wrong / len(alarms):4.1f} %) | {took:6.1f} |"
    )


def left(secret: str, values: Sequence[str]) -> int:
    """How many characters of a secret are left if the found values are taken out."""
    if any(secret in value for value in values):
        return 0
    for value in filter(None, values):
        secret = secret.replace(value, "")
    return len(secret)


def table() -> None:
    """Secrets found in part or whole, and false alarms, by gitrelay and by the scanners on PATH."""
    secrets, innocent = redact_corpus.secrets(), redact_corpus.look_alikes()
    print(f"{len(secrets)} secrets, {len(innocent)} innocent texts\n")
    print("| scanner        | found   | whole   | false alarms  |      s |\n|---|---|---|---|---|")
    redactor = Redactor()
    begin = time.monotonic()
    found = [[one.text[s.start : s.end] for s in redactor.find(one.text)] for one in secrets]
    alarms = [len(redactor.find(text)) for text in innocent]
    row("gitrelay", secrets, found, alarms, time.monotonic() - begin)
    for name, program in scanners.installed().items():
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            found = scanners.findings(name, program, [secret.text for secret in secrets], Path(one))
            alarms = [len(values) for values in scanners.findings(name, program, innocent, Path(two))]
        row(name, secrets, found, alarms, time.monotonic() - begin)
    print()


def message(size: int) -> str:
    """Ordinary text, code and commands: this repository's own README."""
    text = (ROOT / "README.md").read_text()
    return (text * (size // len(text) + 1))[:size]


def main() -> None:
    redactor = Redactor()
    table()
    print("gitrelay:")
    print(f"  loading: {loading('from gitrelay.redact import Redactor'):.1f} ms", end=", ")
    print(
        f"with the first redaction {loading('from gitrelay.redact import Redactor; Redactor().redact(str())'):.1f} ms"
    )
    print(f"  a message of 3 KB: {1e6 * seconds(lambda: redactor.redact(message(3000)), 200):.0f} us")
    for name, text in (
        ("ordinary text", message(4 * MIB)),
        ("one line", message(4 * MIB).replace("\n", " ")),
        ("base64", "QUJDREVG" * (MIB // 2)),
        ("words that begin a rule, and nothing else", "password= token: sk- ghp_ eyJ -----BEGIN " * (MIB // 10)),
        ("a secret in every line", "DB_PASSWORD=a1b2c3d4e5f6\n" * (4 * MIB // 25)),
    ):
        took = seconds(lambda text=text: redactor.redact(text), 1)  # type: ignore[misc]
        print(f"  4 MiB of {name}: {took:.2f} s, {len(text) / MIB / took:.1f} MiB/s")


if __name__ == "__main__":
    helped(__doc__)
    main()
