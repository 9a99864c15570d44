"""What gitrelay itself costs: calls to the embedded peer, reading and `-h`, each against the least that could do it.

    python benchmarks/overhead.py [RUNS] [OTHER]

Paired runs in turn (A B A B ...), because a machine's speed drifts; prints the ratio pair by pair. The processor
time is that of everything that was started, the supervisor included. The peer's own time is excluded by asking
for `true`. The floor of a call is a bare interpreter that imports click, GitPython and python-frontmatter, plus a
shell script with the git commands that the commits need. OTHER is the `git-relay` of another installation: then
each command is measured against the same command of that one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from helping import helped
from paired import Figure, Spent, adopt_orphans, figures, rounds, spent, table

IMPORTS = [sys.executable, "-c", "import click, git, frontmatter"]
CLICK = [sys.executable, "-c", "import click"]
GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
COMMITS = (
    "for i in 1 2; do "
    "git -c core.hooksPath=/dev/null -c gc.auto=0 -c core.fsync=committed,loose-object commit -q --allow-empty -m $i; "
    "done"
)
AIMS: dict[str, tuple[float | None, float | None]] = {  # wall and processor time, against the floor
    "req, one-shot": (1.2, 1.3),
    "req, turn": (1.2, 1.3),
    "req -d": (1.2, 1.3),
    "req -d / -h and two commits": (1.2, None),
    "status": (1.0, 1.0),
    "log turns": (1.0, 1.0),
    "-h": (1.5, 1.5),
}

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


def repository(repo: Path) -> Path:
    """A repository with one commit at `repo`; returns the floor's script."""
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid"]
    subprocess.run([*git, "init", "-q"], cwd=repo, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=repo, check=True)
    (repo / ".git/info/exclude").write_text(".relay/\n")
    (repo / ".relay").mkdir()
    script = repo / ".git/floor.sh"
    script.write_text(SCRIPT)
    return script


def commands(i: int) -> dict[str, list[str]]:
    """What is measured in round `i`: name -> the words after `git-relay`."""
    ask = ["req", "--from", "b", "--to", "shell"]
    return {
        "req, one-shot": [*ask, "--name", f"n{i}", "true"],
        "req, turn": [*ask, "--session", "turns", "true"],
        "req -d": [*ask, "--session", f"away{i}", "-d", "true"],
        "req -d / -h and two commits": [*ask, "--session", f"gone{i}", "-d", "true"],
        "status": ["status"],
        "log turns": ["log", "turns"],
        "-h": ["-h"],
    }


def against_floor(repo: Path, script: Path) -> Callable[[str, int], tuple[Spent, Spent]]:
    def pair(name: str, i: int) -> tuple[Spent, Spent]:
        if name.endswith("two commits"):
            floor = spent([GIT_RELAY, "-h"], repo) + spent(["sh", "-c", COMMITS], repo)
            return spent([GIT_RELAY, *commands(i)[name]], repo), floor
        floor = spent(CLICK if name == "-h" else IMPORTS, repo)
        if name.startswith("req"):
            floor += spent(["sh", str(script), f"{name[4:6].strip(', ')}{i}"], repo)
        return spent([GIT_RELAY, *commands(i)[name]], repo), floor

    return pair


def against_other(repo: Path, other: str) -> Callable[[str, int], tuple[Spent, Spent]]:
    def pair(name: str, i: int) -> tuple[Spent, Spent]:
        words = commands(2 * i)[name], commands(2 * i + 1)[name]
        return spent([GIT_RELAY, *words[0]], repo), spent([other, *words[1]], repo)

    return pair


def measured(runs: int, other: str = "", names: Sequence[str] = ()) -> list[Figure]:
    """The rows of each command, or of those that `names` gives."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    os.environ.update(GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@e", GIT_COMMITTER_NAME="b", GIT_COMMITTER_EMAIL="b@e")
    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder)
        script = repository(repo)
        pair = against_other(repo, other) if other else against_floor(repo, script)
        found: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in commands(0) if not names or name in names}
        for i in rounds(runs):
            for name, pairs in found.items():
                pairs.append(pair(name, i))
    # the first round warms the caches
    return [
        row
        for name, pairs in found.items()
        for row in figures(name, pairs[1:], *((None, None) if other else AIMS[name]))
    ]


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    adopt_orphans()
    print(table(measured(runs, sys.argv[2] if len(sys.argv) > 2 else "")))


if __name__ == "__main__":
    helped(__doc__)
    main()
