"""Redaction: hit and false-alarm rates over the tests' corpus, what it costs to load, and what a message costs.

    python benchmarks/redaction.py

Beside it detect-secrets with its default plugins and filters, where it is installed; it counts as a hit there if
the finding covers the secret. Times are processor time, the median of several runs.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from gitrelay.redact import Redactor  # noqa: E402
from support import redact_corpus  # noqa: E402

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


def rates(name: str, redact: Callable[[str], str]) -> None:
    """Print how many secrets are gone from a redacted text, and how many innocent texts have changed."""
    secrets, innocent = redact_corpus.secrets(), redact_corpus.look_alikes()
    hits = sum(one.secret not in redact(one.text) for one in secrets)
    alarms = sum(redact(text) != text for text in innocent)
    print(
        f"{name}: {hits} of {len(secrets)} secrets ({100 * hits / len(secrets):.1f} %), "
        f"{alarms} false alarms in {len(innocent)} look-alikes ({100 * alarms / len(innocent):.1f} %)"
    )


def detect_secrets() -> None:
    scan: Any = importlib.import_module("detect_secrets.core.scan")
    settings: Any = importlib.import_module("detect_secrets.settings")
    with settings.default_settings(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "message.md"

        def redact(text: str) -> str:
            path.write_text(text + "\n")
            for finding in scan.scan_file(str(path)):
                text = text.replace(finding.secret_value or "\0", "[]")
            return text

        rates("detect-secrets", redact)
        print(f"  a message of 3 KB: {1e6 * seconds(lambda: redact(message(3000)), 5):.0f} us")
    code = "from detect_secrets.core.scan import scan_file\nfrom detect_secrets.settings import default_settings"
    print(f"  loading: {loading(code):.0f} ms")


def message(size: int) -> str:
    """Ordinary text, code and commands: this repository's own README."""
    text = (ROOT / "README.md").read_text()
    return (text * (size // len(text) + 1))[:size]


def main() -> None:
    redactor = Redactor()
    rates("gitrelay", lambda text: redactor.redact(text).text)
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
    if importlib.util.find_spec("detect_secrets") is not None:
        detect_secrets()


if __name__ == "__main__":
    main()
