"""How long `git relay blame` takes on a large file with a long record: 13,000 lines, 500 exchanges, 100 commits.

    python benchmarks/blame.py [LINES] [EXCHANGES]

The first look has no cache, the second one has what each exchange added and what git said of the file; "another file"
has the former only. `git blame -w` alone is given for comparison. Whole processes; medians over RUNS. The history is
made by one `git fast-import`; the truth of each line is known, and what is told is held against it.
"""

from __future__ import annotations

import random
import resource
import shutil
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


def took(words: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[float, float, bytes]:
    """(seconds, processor seconds of it and of all that it started, what it printed)."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


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
        first, again, other, alone = [], [], [], []
        caches = folder / ".git/relay/added", folder / ".git/relay/lines"
        for _ in range(RUNS):
            caches[0].unlink(missing_ok=True)
            shutil.rmtree(caches[1], ignore_errors=True)
            first.append(took(words, folder, env))
            again.append(took(words, folder, env))
            shutil.rmtree(caches[1])
            other.append(took(words, folder, env))
            alone.append(took(["git", "blame", "-w", FILE], folder, env))
        heads = [line.split(b" ")[2].decode() for line in again[-1][2].split(b"\n")[:-1:2]]
        told = [head.split(",") if head != "-" else [] for head in heads]
        right = Counter(_word(said, owner) for said, (_, owner) in zip(told, truth, strict=True))
        size = sum(path.stat().st_size for path in (caches[0], *caches[1].iterdir()))
    print(
        f"{len(truth)} lines, {exchanges} exchanges, {history.commits} commits; medians of {RUNS}, wall and processor"
    )
    looks = ("first look", first), ("second look", again), ("another file", other), ("git blame -w", alone)
    for name, figures in looks:
        wall, cpu = statistics.median(one[0] for one in figures), statistics.median(one[1] for one in figures)
        print(f"  {name:<14} {wall:.2f} s  {cpu:.2f} s")
    print(f"  caches         {size / 1024:.0f} KiB")
    print(f"  {dict(right)}: {100 * right['right'] / len(truth):.2f} % right")


def _word(said: Sequence[str], owner: str | None) -> str:
    if owner is None:
        return "false" if said else "right"
    return "lost" if not said else "right" if list(said) == [owner] else "several" if owner in said else "false"


if __name__ == "__main__":
    helped(__doc__)
    main()
