"""What a loop costs besides its peers: rounds of `git relay loop`, against the same calls made by hand.

    python benchmarks/rounds.py [PAIRS] [ROUNDS]

Paired runs in turn (A B A B ...), because a machine's speed drifts; prints the ratios of wall and processor time. Each
side makes the same calls to the same peers, which are shell scripts of a few lines: in each of ROUNDS rounds (3) one
`req` with a check, then one `req` to a reviewer that finds something until the last round. What a loop does besides is
its own process, the reading of the record before each step, the requests' texts and the exchange that ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from helping import helped
from paired import Figure, Spent, adopt_orphans, figures, in_pairs, spent, table

GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
_AIMS = (1.2, 1.2)  # wall and processor time
_BUILDER = 'cat >/dev/null; echo $(($(cat n) + 1)) >n; echo "Built."\n'
# a finding that comes back would end the loop, so each round has another one
_REVIEWER = """\
cat >/dev/null
n=$(cat n)
if [ "$n" -ge "$ROUNDS" ]; then echo "No findings."; exit 0; fi
echo "- [major] n:1 the number $(echo "$n" | tr 0-9 a-j) is too small"
exit 1
"""
_BY_HAND = """\
for i in $(seq "$ROUNDS"); do
  "$0" req --session "$1" --to builder --access write --check "test -s n" "Count."
  "$0" req --session "$1-review" --to rev --access read "Look at n." || test $? = 1
done
"""


def repository(repo: Path) -> None:
    """A repository with the file `n`, and the peers `builder` and `rev`."""
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.invalid"]
    (repo / "n").write_text("0\n")
    subprocess.run([*git, "init", "-q"], cwd=repo, check=True)
    subprocess.run([*git, "add", "n"], cwd=repo, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], cwd=repo, check=True)
    for name, access, script in (("builder", "command", _BUILDER), ("rev", "read", _REVIEWER)):
        program = repo / f".git/{name}.sh"
        program.write_text(script)
        for key, value in ((access, f"sh {program}"), ("plain", "true"), ("verdict", "exit")):
            subprocess.run(["git", "config", f"relay.{name}.{key}", value], cwd=repo, check=True)


def by_loop(repo: Path, i: int, rounds: int) -> Spent:
    (repo / "n").write_text("0\n")
    words = ["loop", "--session", f"loop{i}", "--build", "builder", "--review", "rev", "--check", "test -s n"]
    return spent([GIT_RELAY, *words, "--rounds", str(rounds), "Count."], repo)


def by_hand(repo: Path, i: int) -> Spent:
    (repo / "n").write_text("0\n")
    return spent(["sh", "-ec", _BY_HAND, GIT_RELAY, f"hand{i}"], repo)


def measured(runs: int, rounds: int = 3) -> list[Figure]:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    os.environ.update(GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@e", GIT_COMMITTER_NAME="b", GIT_COMMITTER_EMAIL="b@e")
    os.environ["ROUNDS"] = str(rounds)
    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder)
        repository(repo)
        found = in_pairs(lambda i: by_loop(repo, i, rounds), lambda i: by_hand(repo, i), runs)
    return figures(f"{rounds} rounds of loop / by hand", found, *_AIMS)


def main() -> None:
    adopt_orphans()
    runs, rounds = (int(word) for word in (*sys.argv[1:], *("7", "3")[len(sys.argv) - 1 :]))
    print(table(measured(runs, rounds)))


if __name__ == "__main__":
    helped(__doc__)
    main()
