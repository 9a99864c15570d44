"""What is the user's stays the user's, byte for byte, however a call ends.

A print is taken of every file of the working tree, of HOME and of `.git`, before and after. Left out is
only what gitrelay says it writes: `.relay/`, the relay refs and their logs, new objects, the sessions'
worktree records, and `.git/relay`.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.ledgercheck import assert_valid
from support.repo import Repo
from support.waiting import eventually, patient

# below .git; everything else there is the user's
_OURS = ("relay", "refs/heads/relay", "logs/refs/heads/relay", "refs/relay", "logs/refs/relay", "objects")


def untouched(repo: Repo) -> dict[str, str]:
    """Path -> type, mode, content and time of change of everything that is not gitrelay's."""
    found: dict[str, str] = {}
    for root in (repo.path, Path(repo.env["HOME"]), Path(repo.env["TMPDIR"]), repo.path.parent / "linked"):
        for folder, folders, files in os.walk(root):
            here = Path(folder)
            for name in (*folders, *files):
                path = here / name
                if not _ours(repo, path):
                    found[str(path)] = _print(path)
            folders[:] = [name for name in folders if not _ours(repo, here / name)]
    found["packs"] = repo.sh("ls -l .git/objects/pack; git count-objects -v | grep -v '^\\(count\\|size\\):'")
    found["lost objects"] = repo.sh("git fsck --no-dangling 2>&1; git cat-file --batch-check <../objects")
    return found


def _ours(repo: Repo, path: Path) -> bool:
    if path.name == ".relay" and path.parent in (repo.path, repo.path.parent / "linked"):
        return True
    git = repo.path / ".git"
    if path == git / "worktrees" and not (path / "linked").exists():
        return True
    if path.parent == git / "worktrees":
        return path.name != "linked"
    return any(path == git / name for name in _OURS)


def _print(path: Path) -> str:
    info = path.lstat()
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    if path.is_dir():
        return f"folder {info.st_mode:o}"  # its time tells of relay/ being made in it
    return f"{info.st_mode:o} {info.st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def busy_repo(repo: Repo, tmp_path: Path) -> Repo:
    """A repository in the middle of a day's work: staged, unstaged, stashed, untracked, ignored, a hook, a remote."""
    (tmp_path / "tmp").mkdir()
    made = replace(repo, env={**repo.env, "TMPDIR": str(tmp_path / "tmp")})
    made.sh(
        """
        git init -q --bare ../remote.git
        git remote add origin ../remote.git
        printf '*.log\\nbuild/\\n' > .gitignore
        mkdir -p src/deep build
        echo 1 > src/deep/one.py; echo 2 > src/two.py; echo 3 > three; ln -s three link
        printf '#!/bin/sh\\n' > run.sh; chmod +x run.sh
        git add .; git commit -qm second; git push -q -u origin main
        git branch topic HEAD~1; git tag -a -m v1 v1; git config branch.main.description mine
        echo stashed >> three; echo new > stashed-file; git add stashed-file; git stash push -q -m mine
        echo stashed again >> three; git stash push -q -m more; git notes add -m note
        echo staged >> src/two.py; git add src/two.py; echo and not staged >> src/two.py
        echo not staged >> three; rm src/deep/one.py; git mv run.sh walk.sh
        echo untracked > untracked; mkdir empty; echo intent > intent; git add -N intent
        echo ignored > build/out; echo ignored > x.log
        printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit
        git worktree add -q ../linked topic; echo changed >> ../linked/app.py
        git update-index --assume-unchanged app.py; git pack-refs --all
        git gc -q --prune=now; git repack -q -a -d
        git cat-file --batch-all-objects --batch-check='%(objectname)' > ../objects
        touch -d '2001-01-01' three src/two.py
        """
    )
    return made


def _call(repo: Repo, task: str, *words: str, code: int = 0, to: str = "shell") -> str:
    done = repo.relay("req", "--from", "uma", "--to", to, *(words or ("--session", "s")), task)
    assert done.code == code, (done.code, done.out, done.err)
    return done.out


def _wait_for_peer(repo: Repo, file: str) -> None:
    """Until the peer has made the file, outside of everything that is looked at."""
    assert eventually((repo.path.parent / file).exists)


def _two_turns_and_a_one_shot(repo: Repo) -> None:
    _call(repo, "echo one")
    _call(repo, "exit 3", code=1)
    _call(repo, "true", "--name", "shot")


def _a_peer_that_is_missing(repo: Repo) -> None:
    repo_words = ("-c", "relay.gone.command=no-such-program-anywhere")
    done = repo.sh(f"git {' '.join(repo_words)} relay req --to gone --session s x || echo exit $?")
    assert "unavailable" in done and "exit 4" in done


def _a_peer_that_dies(repo: Repo) -> None:
    assert "signal 9" in _call(repo, "kill -9 $$", code=1)


def _a_peer_that_takes_too_long(repo: Repo) -> None:
    assert "reason: timeout" in _call(repo, "sleep 60", "--session", "s", "--timeout", "300ms", code=5)


def _a_cancelled_call(repo: Repo) -> None:
    _call(repo, "touch ../started; sleep 60", "--session", "s", "-d")
    _wait_for_peer(repo, "started")
    assert repo.relay("cancel", "s/01").code == 0


def _an_interrupted_call(repo: Repo) -> None:
    waiter = repo.start("req", "--to", "shell", "--session", "s", "touch ../started; sleep 60")
    _wait_for_peer(repo, "started")
    os.killpg(waiter.pid, signal.SIGINT)
    _, err = waiter.communicate(timeout=patient(60))
    assert waiter.returncode == 130, err


def _a_lost_call(repo: Repo) -> None:
    _call(repo, "touch ../started; kill -9 $PPID; sleep 60", "--session", "s", code=4)


def _a_call_from_a_linked_worktree(repo: Repo) -> None:
    linked = replace(repo, path=repo.path.parent / "linked")
    _call(repo, "true")
    _call(linked, "true")
    _call(linked, "true", "--name", "shot")
    _call(repo, "true")


def _refusals(repo: Repo) -> None:
    for words in (
        ["req", "--to", "nobody", "x"],
        ["req", "--to", "shell", "--session", "Bad Slug", "x"],
        ["req", "--to", "shell", ""],
        ["req", "--to", "shell", "--timeout", "soon", "x"],
        ["wait", "s/01"],
        ["cancel", "s/01"],
        ["show", "s"],
        ["close", "s"],
        ["archive", "s"],
        ["archive", "--restore", "s"],
        [
            "res",
            "--session",
            "s",
            "--re",
            "01",
            "--from",
            "a",
            "--to",
            "b",
            "--status",
            "done",
            "--verify",
            "skip",
            "x",
        ],
    ):
        done = repo.relay(*words)
        assert done.code == 2, (words, done.err)


def _a_person_answers(repo: Repo) -> None:
    asked = repo.relay("req", "--from", "uma", "--to", "codex", "--session", "s", "--no-invoke", "look")
    assert asked.code == 0, asked.err
    words = ("--session", "s", "--re", "01", "--from", "codex", "--to", "uma", "--status", "done", "--verify", "skip")
    assert repo.relay("res", *words, "looked").code == 0


def _every_other_verb(repo: Repo) -> None:
    _call(repo, "true")
    for words in (
        ["ls"],
        ["log"],
        ["show", "s"],
        ["show", "s/01", "--json"],
        ["wait", "s/01"],
        ["cancel", "s/01"],
        ["status", "--all"],
        ["peers"],
        ["close", "s"],
        ["archive", "s"],
        ["archive", "--restore", "s"],
        ["close", "--idle", "1ms"],
        ["-h"],
        ["req", "-h"],
        ["demo"],
    ):
        done = repo.relay(*words)
        assert done.code == 0, (words, done.err)


def _a_damaged_session(repo: Repo) -> None:
    _call(repo, "true")
    _call(repo, "echo forged > .relay/s/01.res.md; git -C .relay/s commit -qam forged --no-verify; rm -rf .relay/s")


@pytest.mark.parametrize(
    "happening",
    [
        _two_turns_and_a_one_shot,
        _a_peer_that_is_missing,
        _a_peer_that_dies,
        _a_peer_that_takes_too_long,
        _a_cancelled_call,
        _an_interrupted_call,
        _a_lost_call,
        _a_call_from_a_linked_worktree,
        _refusals,
        _a_person_answers,
        _every_other_verb,
        _a_damaged_session,
    ],
    ids=lambda f: f.__name__.strip("_"),
)
def test_the_users_files_are_untouched(busy_repo: Repo, happening: Callable[[Repo], None]) -> None:
    repo = busy_repo
    before = untouched(repo)
    assert f"{repo.path}/.git/index" in before and f"{repo.path}/.git/packed-refs" in before
    happening(repo)
    after = untouched(repo)
    assert {
        k: (before.get(k), after.get(k)) for k in before.keys() | after.keys() if before.get(k) != after.get(k)
    } == {}
    if happening is not _refusals:
        assert_valid(repo, "s", fsck=False)
        after = untouched(repo)  # the look itself changes nothing
        assert after == before


@pytest.mark.parametrize("state", ["merge", "rebase", "cherry-pick", "bisect"])
def test_a_call_in_the_middle_of_something(repo: Repo, tmp_path: Path, state: str) -> None:
    """An index with conflicts and git's own notes of what is going on."""
    (tmp_path / "tmp").mkdir()
    made = replace(repo, env={**repo.env, "TMPDIR": str(tmp_path / "tmp")})
    made.sh(
        """
        git checkout -q -b topic; echo topic > app.py; git commit -qam topic
        git checkout -q main; echo main > app.py; git commit -qam main; : > ../objects
        """
    )
    start = {
        "merge": "git merge topic",
        "rebase": "git rebase topic",
        "cherry-pick": "git cherry-pick topic",
        "bisect": "git bisect start HEAD HEAD~1",
    }[state]
    made.sh(f"{start} >/dev/null 2>&1 || true")
    before, status = untouched(made), made.git("--no-optional-locks", "status", "--porcelain=v2", "--branch")
    _two_turns_and_a_one_shot(made)
    assert untouched(made) == before
    assert made.git("--no-optional-locks", "status", "--porcelain=v2", "--branch") == status


def test_the_print_sees_changes(busy_repo: Repo) -> None:
    """The seal of this file: what a careless program would do is noticed."""
    repo = busy_repo
    before = untouched(repo)
    for script in (
        "git update-index --chmod=+x app.py",
        "git config x.y z",
        "git stash drop -q",
        "git branch other",
        "touch untracked",
        "rm -r empty",
        "chmod +x three",
        "echo > ~/.cache",
        "git -C ../linked add app.py",
        "rm .git/hooks/pre-commit",
    ):
        repo.sh(f"{script} >/dev/null 2>&1")
        after = untouched(repo)
        assert after != before, script
        before = after


@pytest.mark.parametrize("words", ["req --to shell --session mine true", "archive mine", "close mine"])
def test_a_branch_of_ones_own_below_relay_is_left_alone(repo: Repo, words: str) -> None:
    repo.sh("git checkout -q -b relay/mine; git commit -q --allow-empty -m own; git checkout -q main")
    before = repo.git("for-each-ref")
    done = repo.relay(*words.split())
    assert done.code == 2 and "'relay/mine' is somebody's own branch" in done.err, done.err
    assert repo.git("for-each-ref") == before
