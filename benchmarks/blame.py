"""How long `git relay blame` takes on a large file with a long record: 13,000 lines, 500 exchanges, 100 commits.

    python benchmarks/blame.py [LINES] [EXCHANGES]

The first look has no cache of what each exchange added, the second one has it. `git blame -w` alone is given for
comparison. Whole processes; medians over RUNS. The history is made by one `git fast-import`; the truth of each line is
known, and what is told is held against it.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helping import helped  # noqa: E402

from support.histories import FILE, History  # noqa: E402
from support.repo import sealed_environment  # noqa: E402

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
RUNS = 3
SESSIONS = 10


def made(lines: int, exchanges: int) -> History:
    """A file that grows to some `lines` in so many exchanges of ten sessions, with a commit behind each fifth."""
    history = History(random.Random("large"))
    history.start(lines // 2)
    each = max(2, lines // (2 * exchanges))
    for n in range(exchanges):
        history.exchange(f"s{n % SESSIONS}", history.inserting(least=each - 1, most=each + 1))
        if n % 7 == 0:
            history.replace(None)
        if n % 5 == 4:
            history.commit()
    history.commit()
    return history


def took(words: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[float, bytes]:
    begin = time.monotonic()
    done = subprocess.run(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin, done.stdout


def main() -> None:
    lines, exchanges = map(int, sys.argv[1:] or ("13000", "500"))
    with tempfile.TemporaryDirectory() as place:
        env = sealed_environment(Path(place) / "home")
        folder = Path(place) / "repo"
        history = made(lines, exchanges)
        history.write(folder, env)
        subprocess.run(["git", "-C", str(folder), "repack", "-adfq"], env=env, check=True)
        truth = history.files[FILE]
        words = [GIT_RELAY, "blame", "--porcelain", FILE]
        first, again, alone = [], [], []
        out = b""
        for _ in range(RUNS):
            (folder / ".git/relay/added").unlink(missing_ok=True)
            first.append(took(words, folder, env)[0])
            seconds, out = took(words, folder, env)
            again.append(seconds)
            alone.append(took(["git", "blame", "-w", FILE], folder, env)[0])
        heads = [line.split(b" ")[2].decode() for line in out.split(b"\n")[:-1:2]]
        told = [head.split(",") if head != "-" else [] for head in heads]
        right = Counter(_word(said, owner) for said, (_, owner) in zip(told, truth, strict=True))
        size = os.path.getsize(folder / ".git/relay/added")
    print(f"{len(truth)} lines, {exchanges} exchanges, {history.commits} commits; medians of {RUNS}")
    for name, figures in (("first", first), ("second", again), ("git blame -w", alone)):
        print(f"  {name:<14} {statistics.median(figures):.2f} s")
    print(f"  cache          {size / 1024:.0f} KiB")
    print(f"  {dict(right)}: {100 * right['right'] / len(truth):.2f} % right")


def _word(said: Sequence[str], owner: str | None) -> str:
    if owner is None:
        return "false" if said else "right"
    return "lost" if not said else "right" if list(said) == [owner] else "several" if owner in said else "false"


if __name__ == "__main__":
    helped(__doc__)
    main()
