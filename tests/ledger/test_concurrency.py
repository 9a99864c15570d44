"""Many callers at once: nothing lost, nothing doubled, and every refusal is the refusal that is documented.

Eight callers make two or three calls each; under GITRELAY_SOAK=1 up to a hundred.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.ledgercheck import assert_all_valid, assert_sound, assert_valid, sessions
from support.repo import Done, Repo
from support.soak import rounds

CALLERS = 8
OK, BUSY, USAGE = 0, 6, 2


def _side_by_side(work: Callable[[int], list[Done]]) -> list[list[Done]]:
    """`work(0..CALLERS)` in as many callers, let go at the same moment."""
    gate = threading.Barrier(CALLERS)

    def caller(number: int) -> list[Done]:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(caller, range(CALLERS)))


def _tasks(repo: Repo) -> Counter[str]:
    """How often each task was recorded, over all sessions."""
    out = repo.git("log", "--branches=relay/*", "--format=%s")
    return Counter(s.rpartition(": ")[2] for s in out.splitlines() if s.startswith("req "))


@pytest.mark.timeout(400)  # 30 s alone; more on a machine that does something else
def test_one_shots_of_one_name(repo: Repo) -> None:
    each = rounds(2, 100)

    def work(number: int) -> list[Done]:
        return [
            repo.relay("req", "--from", "uma", "--to", "shell", "--name", "same", f"echo caller-{number}-{i}")
            for i in range(each)
        ]

    found = _side_by_side(work)
    assert [d.code for row in found for d in row] == [OK] * CALLERS * each, [
        (d.code, d.err) for row in found for d in row if d.code
    ]
    addresses = [d.err.splitlines()[0] for row in found for d in row]
    assert len(set(addresses)) == CALLERS * each
    assert sorted(addresses) == sorted(sessions(repo))
    for number, row in enumerate(found):
        for i, done in enumerate(row):
            token = f"caller-{number}-{i}"
            assert f"$ echo {token}\n{token}\n" in done.out  # its own answer, nobody else's
    assert _tasks(repo) == {f"echo caller-{n}-{i}": 1 for n in range(CALLERS) for i in range(each)}
    assert_all_valid(repo)
    assert [p.name for p in (repo.path / ".relay").iterdir()] == [".gitignore"]
    assert not list((repo.path / ".git/relay/calls").iterdir())


def test_one_session(repo: Repo) -> None:
    each = rounds(3, 50)
    stop = threading.Event()
    looks: list[Done] = []

    def look() -> None:
        verbs = (["status", "--all"], ["ls"], ["log"], ["ls", "--pending", "--json"])
        while not stop.is_set():
            looks.append(repo.relay(*verbs[len(looks) % len(verbs)]))

    def work(number: int) -> list[Done]:
        return [
            repo.relay("req", "--from", f"c{number}", "--to", "shell", "--session", "s", f"echo caller-{number}-{i}")
            for i in range(each)
        ]

    looking = threading.Thread(target=look)
    looking.start()
    try:
        found = _side_by_side(work)
    finally:
        stop.set()
        looking.join()
    assert {d.code for row in found for d in row} <= {OK, BUSY}, [
        (d.code, d.err) for row in found for d in row if d.code not in (OK, BUSY)
    ]
    assert [d.err for d in looks if d.code] == []
    recorded = {f"echo caller-{n}-{i}": 1 for n, row in enumerate(found) for i, d in enumerate(row) if d.code == OK}
    assert recorded and _tasks(repo) == recorded
    for number, row in enumerate(found):
        for i, done in enumerate(row):
            if done.code == OK:
                assert f"caller-{number}-{i}\n" in done.out
            else:
                assert done.raw == b"" and "in flight" in done.err
    ids = assert_valid(repo, "s")
    assert len(ids) == len(recorded)
    after = repo.relay("req", "--to", "shell", "--session", "s", "echo after")
    assert after.code == OK, after.err
    assert_valid(repo, "s")


def test_one_request_answered_by_all(repo: Repo) -> None:
    asked = repo.relay("req", "--from", "uma", "--to", "codex", "--session", "s", "--no-invoke", "say something")
    assert asked.code == OK, asked.err
    words = ("--session", "s", "--re", "01", "--from", "codex", "--to", "uma", "--status", "done", "--verify", "skip")

    found = [row[0] for row in _side_by_side(lambda number: [repo.relay("res", *words, f"answer {number}")])]
    assert sorted(d.code for d in found) == [OK] + [USAGE] * (CALLERS - 1), [d.err for d in found]
    winner = next(n for n, d in enumerate(found) if d.code == OK)
    assert repo.git("show", "relay/s:01.res.md").endswith(f"\nanswer {winner}")
    assert_valid(repo, "s")


def test_sessions_side_by_side_share_the_list_of_worktrees(repo: Repo) -> None:
    """`git worktree add` and `remove` at the same time: each caller opens, closes and reopens its own session."""

    def work(number: int) -> list[Done]:
        session = f"s{number}"
        return [
            repo.relay("req", "--to", "shell", "--session", session, "true"),
            repo.relay("close", session),
            repo.relay("req", "--to", "shell", "--session", session, "true"),
        ]

    found = _side_by_side(work)
    assert all(d.code == OK for row in found for d in row), [d.err for row in found for d in row if d.code]
    for number in range(CALLERS):
        assert assert_valid(repo, f"s{number}", fsck=False) == ["01", "02"]
    assert_sound(repo)


def test_two_working_trees_pull_at_one_session(repo: Repo) -> None:
    """Callers in the main checkout and in a linked worktree: the session's worktree moves, or the caller is refused."""
    repo.sh("git worktree add -q ../other")
    folders = [repo.path, repo.path.parent / "other"]

    def work(number: int) -> list[Done]:
        folder = folders[number % 2]
        words = ("req", "--to", "shell", "--session", "s", f"echo caller-{number}-")
        return [repo.relay(*words[:-1], words[-1] + str(i), cwd=folder) for i in range(rounds(2, 20))]

    found = _side_by_side(work)
    assert {d.code for row in found for d in row} <= {OK, BUSY}, [
        (d.code, d.err) for row in found for d in row if d.code not in (OK, BUSY)
    ]
    recorded = {f"echo caller-{n}-{i}": 1 for n, row in enumerate(found) for i, d in enumerate(row) if d.code == OK}
    assert recorded and _tasks(repo) == recorded
    assert_valid(repo, "s")
