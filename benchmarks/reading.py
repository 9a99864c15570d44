"""What reading 10,000 exchanges in 500 sessions costs: each verb beside the git commands that fetch the same data.

    python benchmarks/reading.py [RUNS] [FOLDER]

Runs in turn (verb, git, start-up, verb, ...), because a machine's speed drifts; output goes through a pipe and is
read to its end. For each verb three ratios, medians over the runs:

    whole      the verb / the git commands; where these take 5 ms, it is the start of an interpreter that shows
    work       (the verb - start-up) / the git commands
    floor      the verb / (start-up + the git commands): beside a program that fetches, with the same imports

`export` renders what git only fetches; its whole is what a reader waits for, its ratio says little.

Start-up is a bare interpreter that imports click and GitPython, as every verb has to. The git commands are given what
a verb has to find out first: the refs, the commits and the names of the files. Without FOLDER, `make_history` makes
the repository.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import make_history
from helping import helped
from paired import Figure, Spent, figures, in_pairs

from gitrelay.cli import VERBS

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
IMPORTS = [sys.executable, "-c", "import click, git"]
GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
REFS = ("refs/heads/relay/", "refs/relay/archive/")
FIELDS = "--format=%H%x00%ct%x00%s%x00%(trailers:only,unfold)"
EACH = "--format=%(refname)%00%(objectname)%00%(committerdate:unix)%00%(contents:subject)%00%(contents:trailers:only)"


@dataclass(frozen=True)
class Command:
    """A command and what it reads on stdin."""

    argv: Sequence[str]
    stdin: bytes = b""


@dataclass(frozen=True)
class Case:
    verb: Sequence[str]
    git: Sequence[Command]


def run(commands: Sequence[Command], folder: Path) -> tuple[float, float]:
    """(seconds waited, seconds of processor time) of commands that must succeed, one after the other."""
    begin, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run(
            command.argv, cwd=folder, check=True, input=command.stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    waited, after = time.perf_counter() - begin, os.times()
    return waited, after.children_user + after.children_system - before.children_user - before.children_system


def lines_of(folder: Path, *argv: str, stdin: bytes = b"") -> list[str]:
    done = subprocess.run(["git", *argv], cwd=folder, check=True, input=stdin, stdout=subprocess.PIPE)
    return done.stdout.decode().splitlines()


def lines(words: Sequence[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


def cases(folder: Path) -> list[Case]:
    """The verbs, each with the git commands that fetch what it shows; both are given what they need to know."""
    each = [line.split() for line in lines_of(folder, "for-each-ref", "--format=%(refname) %(objectname)", *REFS)]
    tips = [oid for _, oid in each]
    session = each[len(each) // 2][0]
    name = session.rpartition("/")[2]
    answers = [  # in a session that ends with a check, how it stands is told by the answer before that
        f"{oid}~1"
        for oid, subject in zip(
            tips,
            lines_of(folder, "log", "--no-walk=unsorted", "--format=%s", "--stdin", stdin=lines(tips)),
            strict=True,
        )
        if subject.startswith("chk ")
    ]
    files = messages(folder, [session])
    trees = [
        line.split()
        for line in lines_of(
            folder, "log", "--reverse", "--format=%(trailers:key=Relay-Tree,valueonly,separator=%x20)", session
        )
    ]
    before, after = (tree[0] for tree in [tree for tree in trees if tree][:2])
    refs = Command(["git", "for-each-ref", "--format=%(refname) %(objectname)", *REFS])
    line = Command(["git", "log", FIELDS, session])
    everything = Command(["git", "log", FIELDS, "--stdin"], lines(tips))
    batch = ["git", "cat-file", "--batch", "--buffer"]
    found = [
        Case(
            ["ls"],
            [
                Command(["git", "for-each-ref", EACH, *REFS]),
                Command(["git", "log", "--no-walk=unsorted", FIELDS, "--stdin"], lines(answers)),
            ],
        ),
        Case(["log"], [refs, everything]),
        Case(["log", name], [line]),
        Case(["show", name], [line, Command(batch, lines(files))]),
        Case(["show", f"{name}/01"], [line, Command(batch, lines(files[:2]))]),
        Case(["diff", f"{name}/01"], [line, Command(["git", "diff", before, after])]),
        Case(["stats"], [refs, everything]),
        Case(["status"], [Command(["git", "rev-parse", "--git-common-dir"])]),
        Case(["status", "--all"], [Command(["git", "for-each-ref", EACH, *REFS]), line]),
    ]
    if "export" in VERBS:
        bodies = Command(batch, lines(messages(folder, tips)))
        found.append(Case(["export", "-o", str(folder / ".git/relay-export")], [refs, everything, bodies]))
    return found


def messages(folder: Path, revs: Sequence[str]) -> list[str]:
    """`COMMIT:FILE` of every message, the oldest first."""
    rows = lines_of(folder, "log", "--reverse", "--format=%H %s", "--stdin", stdin=lines(revs))
    words = [row.split(" ")[:3] for row in rows]
    return [f"{oid}:{id_}.{kind}.md" for oid, kind, id_ in words if kind in ("req", "res")]


def measure(folder: Path, runs: int) -> None:
    start_up = [Command(IMPORTS)]
    rows: dict[str, list[tuple[tuple[float, float], ...]]] = {}
    found = cases(folder)
    for i in range(-1, runs):
        for case in found:
            ours = [Command([GIT_RELAY, *case.verb])]
            triple = (run(ours, folder), run(case.git, folder), run(start_up, folder))
            if i >= 0:  # the first round warms the caches
                rows.setdefault(" ".join(case.verb[:2]).removesuffix(" -o"), []).append(triple)
    for what, side in (("waited", 0), ("processor", 1)):
        print(f"{what + ', ms':32}{'verb':>7}{'git':>7}{'start':>7}{'whole':>9}{'work':>7}{'floor':>7}")
        for name, triples in rows.items():
            print(row(name, [(ours[side], git[side], start[side]) for ours, git, start in triples]))


def measured(runs: int) -> list[Figure]:
    """Each verb beside a program that starts with the same imports and fetches the same data."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_history.make(folder, sessions=500, exchanges=20)
        rows: list[Figure] = []
        for case in cases(folder):
            ours, floor = [Command([GIT_RELAY, *case.verb])], [Command(IMPORTS), *case.git]

            def verb(_: int, commands: Sequence[Command] = ours) -> Spent:
                return Spent(*run(commands, folder))

            def fetch(_: int, commands: Sequence[Command] = floor) -> Spent:
                return Spent(*run(commands, folder))

            words = " ".join(case.verb).replace(str(folder), "").removesuffix(" -o /.git/relay-export")
            pairs = in_pairs(verb, fetch, runs)
            rows += figures(f"{words}, 10,000 exchanges", pairs, *((None,) * 2 if words == "export" else (1.5,) * 2))
    return rows


def row(name: str, triples: Sequence[tuple[float, float, float]]) -> str:
    def median(value: Callable[[float, float, float], float]) -> float:
        return statistics.median(value(*triple) for triple in triples)

    times = [median(lambda *t, i=i: t[i]) * 1000 for i in range(3)]
    ratios = (
        median(lambda ours, git, start: ours / max(git, 1e-3)),
        median(lambda ours, git, start: (ours - start) / max(git, 1e-3)),
        median(lambda ours, git, start: ours / (start + git)),
    )
    return f"{name:32}" + "".join(f"{ms:7.0f}" for ms in times) + "  " + "".join(f"{ratio:7.2f}" for ratio in ratios)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    if len(sys.argv) > 2:
        measure(Path(sys.argv[2]).absolute(), runs)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_history.make(Path(folder), sessions=500, exchanges=20)
        measure(Path(folder), runs)


if __name__ == "__main__":
    helped(__doc__)
    main()
