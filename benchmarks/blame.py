"""How long `git relay blame` takes on a large file with a long record, and how many lines of many histories it tells.

    python benchmarks/blame.py [LINES EXCHANGES [SEEDS FIRST]]

Without words: 13,000 lines, 500 exchanges, 100 commits; then every kind of history of the tests, 5 seeds each from
5,000 on, which no test uses, and one file of more than 20,000 lines. SEEDS 0 leaves these out.

The first look has no cache, the second one has what each exchange added and what git said of the file; "another file"
has the former only. `git blame -w` alone is given for comparison. Whole processes; medians over RUNS. The history is
made by one `git fast-import`; the truth of each line is known, and what is told is held against it.
"""

from __future__ import annotations

import os
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

from support.hard_kinds import HARD, large  # noqa: E402
from support.histories import FILE, History  # noqa: E402
from support.histories import made as history_of  # noqa: E402
from support.judging import judged, word_of  # noqa: E402
from support.kinds import KINDS  # noqa: E402
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
    words = [*sys.argv[1:], *["13000", "500", "5", "5000"][len(sys.argv) - 1 :]]
    lines, exchanges, seeds, first_seed = map(int, words)
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
        right = Counter(word_of(said, owner) for said, (_, owner) in zip(told, truth, strict=True))
        size = sum(path.stat().st_size for path in (caches[0], *caches[1].iterdir()))
    print(
        f"{len(truth)} lines, {exchanges} exchanges, {history.commits} commits; medians of {RUNS}, wall and processor"
    )
    looks = ("first look", first), ("second look", again), ("another file", other), ("git blame -w", alone)
    for name, figures in looks:
        wall, cpu = statistics.median(one[0] for one in figures), statistics.median(one[1] for one in figures)
        print(f"  {name:<14} {wall:.2f} s  {cpu:.2f} s")
    print(f"  caches         {size / 1024:.0f} KiB")
    print(f"  {_share(right)}")
    if seeds:
        kinds_of_history(seeds, first_seed)


def kinds_of_history(seeds: int, first: int) -> None:
    """Print how many lines are told right of each kind, and of all of them."""
    total: Counter[str] = Counter()
    histories = 0
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        env = sealed_environment(Path(place) / "home")
        os.environ |= {name: env[name] for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "HOME")}
        for kind in (*KINDS, *HARD, large):
            found: Counter[str] = Counter()
            for seed in range(first, first + (1 if kind is large else seeds)):
                history, path = history_of(kind, seed)
                folder = Path(place) / f"{kind.__name__}-{seed}"
                history.write(folder, env)
                found += judged(history, path, folder)
                histories += 1
            if found.total() != found["right"]:
                print(f"  {kind.__name__:<22} {_share(found)}")
            total += found
    print(f"{histories} histories of {len(KINDS) + len(HARD) + 1} kinds: {_share(total)}")
    print(f"  {(time.process_time() - begin) / histories:.2f} s of Python each")


def _share(found: Counter[str]) -> str:
    return f"{dict(found)}: {100 * found['right'] / found.total():.2f} % right"


if __name__ == "__main__":
    helped(__doc__)
    main()
