"""Whoever is killed while a workspace is made, worked in, applied or removed: nothing of the caller's is half done.

6 kills; 200 under GITRELAY_SOAK=1, 50 at each moment. The delays are random with a fixed seed.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from support.ledgercheck import assert_all_valid
from support.repo import Repo
from support.soak import rounds
from support.waiting import eventually, patient

SEED = int(os.environ.get("GITRELAY_TEST_SEED", "20261126"))
ALONE = ("req", "--from", "uma", "--to", "shell", "--isolate", "--session", "s")
# moment -> (the command that is killed, kills)
MOMENTS = {
    "set-up and run": (
        (*ALONE, "--fresh", "for i in 1 2 3 4 5 6 7 8 9; do echo peer > made$i.txt; done"),
        rounds(3, 100),
    ),
    "apply": (("apply", "base/01"), rounds(2, 50)),
    "removal": (("close", "s"), rounds(1, 50)),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_nothing_half_done(repo: Repo, moment: str) -> None:
    words, kills = MOMENTS[moment]
    repo.sh("for i in $(seq 200); do echo $i > f$i.txt; done; git add .; git commit -qm f; echo mine >> f1.txt")
    base = (*ALONE[:-1], "base")
    assert repo.relay(*base, "for i in $(seq 2 200); do echo peer >> f$i.txt; done").code == 0
    assert repo.relay(*ALONE, "echo kept > kept.txt").code == 0
    before = repo.git("status", "--porcelain")
    chance = random.Random(f"{SEED} {moment}")
    length = 0.0  # of the command, measured while nobody kills it
    hit = tries = 0
    while hit < kills:
        tries += 1
        assert tries <= 10 * kills + 1, "most kills come after the end"
        if moment == "removal":
            assert repo.relay(*ALONE, "true").code == 0
        begin = time.monotonic()
        started = repo.start(*words)
        if length:
            time.sleep(chance.uniform(0.0, length))
            started.send_signal(signal.SIGKILL)
        started.communicate(timeout=patient(60))
        length = length or time.monotonic() - begin
        hit += started.returncode == -signal.SIGKILL
        assert repo.relay("status").code == 0
        where = f"{moment}, try {tries}, {time.monotonic() - begin:.2f} s, seed {SEED}"
        assert eventually(lambda: not repo.relay("status", "--json").json["data"]), where
        if moment == "apply":
            changed = len(repo.git("diff", "--name-only").splitlines())
            assert changed in (1, 200), f"{where}: a half apply of {changed} files"
            repo.sh("for i in $(seq 2 200); do echo $i > f$i.txt; done")
        assert repo.git("status", "--porcelain") == before, where
        there = {path.name for path in (repo.path / ".relay/.work").iterdir()}
        notes = {p.name for p in (repo.path / ".git/relay/workspaces").iterdir() if not p.name.startswith(".")}
        assert there == notes, where
    assert repo.relay(*ALONE, "--fresh", "cat f1.txt").code == 0
    # the next turn of `base` puts right what was killed in its worktree
    assert repo.relay(*base, "--fresh", "true").code == 0
    assert_all_valid(repo)
