"""What a call tidies when it is over: loose objects, loose refs and idle worktrees, and nothing that is needed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from support.repo import Repo, copy_of
from support.waiting import eventually


def loose(repo: Repo) -> int:
    return int(repo.git("count-objects").split()[0])


def add_files(repo: Repo, first: int) -> None:
    """2,000 loose objects that a commit names."""
    repo.sh(
        f"mkdir -p many; for i in $(seq {first} {first + 1999}); do echo $i > many/$i; done\n"
        f"git -c gc.auto=0 add many; git -c gc.auto=0 commit -qm {first}"
    )


def is_over(repo: Repo) -> bool:
    """Whether nothing is tidied now."""
    return not (repo.path / ".git/relay/locks/.upkeep.lock").exists()


def call(repo: Repo, session: str, *words: str) -> None:
    done = repo.relay("req", "--from", "me", "--to", "shell", "--session", session, *words, "true")
    assert done.code == 0, done.err


def test_what_lies_loose_is_packed_and_pruned_only_if_nothing_else_runs(repo: Repo) -> None:
    add_files(repo, 10000)
    unnamed = repo.sh("echo unnamed | git hash-object -w --stdin").strip()
    old = time.time() - 30 * 86400
    os.utime(repo.path / ".git/objects" / unnamed[:2] / unnamed[2:], (old, old))
    commit = repo.git("rev-parse", "HEAD")
    lines = "".join(f"create refs/relay/code/s{i} {commit}\n" for i in range(260))
    repo.sh(f"git update-ref --stdin <<'END'\n{lines}END")
    repo.git("config", "gc.auto", "1500")

    repo.git("config", "relay.pack", "false")
    call(repo, "off")
    repo.git("config", "relay.pack", "true")
    repo.git("config", "gc.packRefs", "false")
    running = repo.relay("req", "--from", "me", "--to", "shell", "--session", "long", "-d", "sleep 600")
    assert running.code == 0, running.err
    assert loose(repo) > 2000 and not (repo.path / ".git/packed-refs").exists()

    call(repo, "on")
    assert eventually(lambda: loose(repo) < 100)
    assert repo.git("cat-file", "-t", unnamed) == "blob"
    assert not (repo.path / ".git/packed-refs").exists()

    assert repo.relay("cancel", "long/01").code == 0
    (repo.path / ".git/relay/packed").unlink(missing_ok=True)
    repo.git("config", "--unset", "gc.packRefs")
    add_files(repo, 20000)
    call(repo, "on")
    assert eventually(lambda: loose(repo) < 100 and (repo.path / ".git/packed-refs").exists())
    assert eventually(lambda: not repo.sh(f"git cat-file -t {unnamed} 2>&1 || true").startswith("blob"))
    repo.sh("for i in $(seq 0 259); do echo delete refs/relay/code/s$i; done | git update-ref --stdin")
    assert eventually(lambda: is_over(repo))
    fsck = repo.relay("fsck")
    assert fsck.code == 0, fsck.out
    assert "blob" in repo.sh("git fsck --strict 2>&1; git cat-file -t HEAD:many/10000")


def test_many_refs_are_packed_with_a_graph_of_their_commits(repo: Repo) -> None:
    commit = repo.git("rev-parse", "HEAD")
    packed = repo.path / ".git/packed-refs"
    graph = repo.path / ".git/objects/info/commit-graphs/commit-graph-chain"

    def many_refs(prefix: str) -> None:
        lines = "".join(f"create refs/relay/code/{prefix}{i} {commit}\n" for i in range(260))
        repo.sh(f"git update-ref --stdin <<'END'\n{lines}END")

    many_refs("a")
    repo.git("config", "gc.writeCommitGraph", "false")
    call(repo, "one")
    assert eventually(lambda: packed.exists() and is_over(repo)) and not graph.exists()
    repo.git("config", "--unset", "gc.writeCommitGraph")
    many_refs("b")
    call(repo, "one")
    assert eventually(lambda: graph.exists() and is_over(repo))
    repo.sh("git commit-graph verify && git fsck --strict --connectivity-only")


def test_worktrees_of_quiet_sessions_go_and_come_back(repo: Repo) -> None:
    call(repo, "quiet", "--isolate")
    call(repo, "busy")
    where = Path(repo.git("config", "--get", "--default", str(repo.path / ".relay/.work"), "relay.workspaces"))
    before = sorted(where.iterdir())
    repo.sh(
        "git update-ref refs/heads/relay/quiet $(git log -1 --format=%B relay/quiet | "
        "GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' git commit-tree -p relay/quiet~1 relay/quiet^{tree})"
    )
    os.utime(repo.path / ".git/relay/closed", (0, 0))
    repo.git("config", "relay.closeAfter", "1 day")
    done = repo.relay("req", "--to", "shell", "--session", "busy", "true")
    assert done.code == 2 and "relay.closeAfter" in done.err and "'1 day'" in done.err, done.err
    repo.git("config", "relay.closeAfter", "1h")
    call(repo, "busy")
    assert eventually(lambda: not (repo.path / ".relay/quiet").exists())
    assert (repo.path / ".relay/busy").is_dir() and before and sorted(where.iterdir()) == before
    assert eventually(lambda: is_over(repo))
    call(repo, "quiet", "--isolate")
    assert (repo.path / ".relay/quiet").is_dir()


def test_archive_takes_what_is_idle_and_done(one_turn: Repo, tmp_path: Path, env: dict[str, str]) -> None:
    repo = copy_of(one_turn, tmp_path / "repo", env)
    assert repo.relay("req", "--from", "me", "--to", "shell", "--session", "bad", "--no-invoke", "true").code == 0
    assert repo.relay("cancel", "bad/01").code == 0
    for words in ((), ("s", "--done"), ("--done", "--restore"), ("--idle", "soon")):
        assert repo.relay("archive", *words).code == 2
    assert repo.relay("archive", "--idle", "1h").err.strip() == "nothing to archive"
    done = repo.relay("archive", "--done", "--json")
    assert done.code == 0 and done.json["data"]["archived"] == ["s"], done.raw
    assert "bad" in repo.git("branch", "--list", "relay/*")
