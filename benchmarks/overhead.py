"""What gitrelay itself costs: a call to the embedded peer, and `-h`, each against the least that could do it.

    python benchmarks/overhead.py [RUNS]

Paired runs in turn (A B A B ...), because a machine's speed drifts; prints the ratio pair by pair. The
peer's own time is excluded by asking for `true`. The floor of a call is a bare interpreter that imports
click, GitPython and python-frontmatter, plus a shell script with the git commands that the commits need.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

IMPORTS = [sys.executable, "-c", "import click, git, frontmatter"]
CLICK = [sys.executable, "-c", "import click"]
GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))

# One one-shot: the root commit, the worktree, two messages, the worktree removed, the answer read. Objects
# are synced as gitrelay syncs them. A shell needs no more git than this, and no less.
SCRIPT = """\
set -e
s="shot-$1"; w=".relay/$s"; z=0000000000000000000000000000000000000000
g="git -c core.hooksPath=/dev/null -c gc.auto=0 -c core.fsync=committed,loose-object"
$g rev-parse --show-toplevel HEAD >/dev/null
empty=$($g mktree </dev/null)
root=$(echo "open $s" | $g commit-tree "$empty")
$g update-ref "refs/heads/relay/$s" "$root" $z
$g worktree add --quiet "$w" "relay/$s"
tip=$root
for m in req res; do
  echo "$m" >"$w/$s.$m.md"
  (cd "$w" && $g add -- "$s.$m.md")
  tree=$(cd "$w" && $g write-tree)
  new=$(echo "$m" | $g commit-tree -p "$tip" "$tree")
  $g update-ref -m "$m" "refs/heads/relay/$s" "$new" "$tip"
  tip=$new
done
$g worktree remove --force "$w"
$g show "relay/$s:$s.res.md" >/dev/null
"""


def seconds(argv: Sequence[str], cwd: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(
        argv, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - begin


def report(name: str, pairs: Sequence[tuple[float, float]], bound: float) -> None:
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    print(
        f"{name}: ratio median {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}), "
        f"aim at most {bound}; medians {a:.0f} ms against {b:.0f} ms, {len(pairs)} pairs"
    )


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder)
        git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid"]
        subprocess.run([*git, "init", "-q"], cwd=repo, check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=repo, check=True)
        (repo / ".git/info/exclude").write_text(".relay/\n")
        (repo / ".relay").mkdir()
        script = repo / ".git/floor.sh"
        script.write_text(SCRIPT)
        os.environ.update(
            GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@e", GIT_COMMITTER_NAME="b", GIT_COMMITTER_EMAIL="b@e"
        )
        calls, helps = [], []
        for i in range(-1, runs):
            call = seconds([GIT_RELAY, "req", "--from", "b", "--to", "shell", "--name", f"n{i + 1}", "true"], repo)
            floor = seconds(IMPORTS, repo) + seconds(["sh", str(script), str(i + 1)], repo)
            help_, click = seconds([GIT_RELAY, "-h"], repo), seconds(CLICK, repo)
            if i >= 0:  # the first round warms the caches
                calls.append((call, floor))
                helps.append((help_, click))
        report("git-relay req --to shell true / (imports + git commands)", calls, 2.0)
        report("git-relay -h / python -c 'import click'", helps, 1.5)


if __name__ == "__main__":
    main()
