"""A workspace of every kind of repository: git says there what it says to the caller, byte for byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitrelay.git.repository import Repository
from gitrelay.state.folder import State
from gitrelay.workspace import workspace
from gitrelay.workspace.workspace import Workspace
from support.repo import Repo

VIEWS = (
    "git status --porcelain=v2 --branch --untracked-files=all --ignore-submodules=none",
    "git status",
    "git diff --submodule=short",
    "git diff --cached --submodule=short",
    "git log --format=%H HEAD",
    "git ls-files -s",
    "git ls-files -v",
    "git ls-files --others --exclude-standard",
    "git for-each-ref refs/heads refs/tags refs/remotes refs/notes --format='%(refname) %(objectname)'",
    "git config --get-all user.email",
    "git symbolic-ref -q HEAD",
    "git rev-parse HEAD",
)

# name -> what is done in a repository with one commit of app.py
KINDS = {
    "clean": "true",
    "dirty": """
        mkdir -p src; for i in 1 2 3; do echo "line $i" > src/f$i.txt; done; ln -s src link; echo '#!/bin/sh' > run.sh
        printf 'a\\n' > gone.txt; printf 'b\\n' > cached.txt; git add .; git commit -qm more
        echo staged >> src/f1.txt; git add src/f1.txt; echo worktree >> src/f1.txt; echo x >> src/f2.txt
        rm gone.txt; git rm -q --cached cached.txt; chmod +x run.sh; echo new > new.txt; echo intent > intent.txt
        git add -N intent.txt; rm link; ln -s run.sh link; touch src/f3.txt
    """,
    "odd names": """
        printf x > "$(printf 'nl\\nname')"; printf x > "$(printf 'caf\\351')"; printf x > ' lead'; printf x > '-dash'
        mkdir 'sp ace'; printf x > 'sp ace/\\"q\\"'; git add .; git commit -qm odd; printf y > '-dash'
    """,
    "a file became a folder, a folder a file": """
        mkdir d; echo 1 > d/one; echo f > f; git add .; git commit -qm 2; rm -r d; echo d > d; rm f; mkdir f
        echo 1 > f/x
    """,
    "a folder became a link": "mkdir d e; echo 1 > d/x; echo 2 > e/x; git add .; git commit -qm 2; rm -r d; ln -s e d",
    "mixed line ends": """
        printf 'a\\r\\nb\\n' > mixed.txt; git add .; git commit -qm 2; echo '*.txt text eol=crlf' > .gitattributes
    """,
    "autocrlf set later": "printf 'a\\nb\\n' > lf.txt; git add .; git commit -qm 2; git config core.autocrlf true",
    "a filter that fails": """
        echo 'plain' > data.bin; git add .; git commit -qm 2; echo '*.bin filter=lfs' > .git/info/attributes
        git config filter.lfs.smudge 'touch ../smudged; false'; git config filter.lfs.clean cat
        git config filter.lfs.required true
    """,
    "assume-unchanged, skip-worktree": """
        echo 1 > a; echo 1 > b; git add .; git commit -qm 2; git update-index --assume-unchanged a
        git update-index --skip-worktree b; echo mine > a; echo mine > b
    """,
    "sparse checkout": """
        mkdir x y; echo 1 > x/f; echo 1 > y/f; git add .; git commit -qm 2; git sparse-checkout set --no-cone /x /app.py
        echo 2 >> x/f
    """,
    "index version 4": "git update-index --index-version 4; echo 2 >> app.py; echo n > n.txt",
    "split index": "git update-index --split-index; echo 2 >> app.py; git add app.py; echo 3 >> app.py",
    "untracked cache": "git update-index --untracked-cache; echo n > n.txt; git status > /dev/null",
    "unmerged": """
        git checkout -qb other; echo theirs > app.py; git commit -qam t; git checkout -q main; echo ours > app.py
        git commit -qam o; git merge other || true
    """,
    "a rebase that has stopped": """
        git checkout -qb other; echo theirs > app.py; git commit -qam t; git checkout -q main; echo ours > app.py
        git commit -qam o; git commit -q --allow-empty -m p; git rebase other || true
    """,
    "patches that have stopped": """
        git checkout -qb other; echo theirs > app.py; git commit -qam t; git format-patch -q -1 -o ..
        git checkout -q main; echo ours > app.py; git commit -qam o; git am ../0001* || true
    """,
    "commits picked that have stopped": """
        git checkout -qb other; for i in 1 2 3; do echo $i > app.py; git commit -qam $i; done; git checkout -q main
        echo ours > app.py; git commit -qam o; git cherry-pick main~1..other || true
    """,
    "detached": "git checkout -q --detach; echo 2 >> app.py",
    "no commit yet": "rm -rf .git; git init -q; git add app.py; echo 2 >> app.py; echo n > n.txt",
    "empty": "rm -rf .git app.py; git init -q",
    "stash and hooks": """
        echo 2 >> app.py; git stash -q; printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit
        chmod +x .git/hooks/pre-commit
    """,
    "branches, tags, notes, remotes": """
        git branch feat; git tag v1; git tag -a v2 -m two; git notes add -m n; git init -q --bare ../hub.git
        git remote add origin ../hub.git; git push -q origin main feat; git remote set-head origin main; git fetch -q
        git branch -q -u origin/main
    """,
    "nested repository": """
        git init -q inner; (cd inner; echo i > i.txt; git add .; git commit -qm i; echo dirty >> i.txt; echo u > u.txt)
    """,
    "nested repository without a commit": "git init -q sneaky; echo n > n.txt",
    "submodule": """
        git init -q ../lib; (cd ../lib; echo l > l.txt; git add .; git commit -qm l)
        git -c protocol.file.allow=always submodule --quiet add ../lib sub; git commit -qm sub
        (cd sub; echo edit >> l.txt; echo u > u.txt)
    """,
    "submodule not checked out": """
        git init -q ../lib; (cd ../lib; echo l > l.txt; git add .; git commit -qm l)
        git -c protocol.file.allow=always submodule --quiet add ../lib sub; git commit -qm sub
        git submodule -q deinit -f sub
    """,
    "ignored files": "echo '*.o' > .gitignore; git add .; git commit -qm 2; echo o > a.o; mkdir b; echo o > b/b.o",
    "alternates": """
        git clone -q --shared . ../second; cd ../second; echo 2 >> app.py; git commit -qam 2; cd ../repo; rm -rf .git
        mv ../second/.git .git; echo 3 >> app.py
    """,
    "includes and own settings": """
        printf '[user]\\n\\temail = included@example.invalid\\n' > .git/extra; git config include.path extra
        git config alias.x '!echo "a\\b"'; git config --add remote.o.url ../hub
        printf '[flag]\\n\\tset\\n' >> .git/config
    """,
}


def made(repo: Repo) -> Workspace:
    found = Repository.open(repo.path)
    return workspace.make(found, State(found.common_dir), "s")


def seen(repo: Repo, place: Path) -> dict[str, str]:
    """What each of VIEWS prints at `place`."""
    views = {}
    for view in VIEWS:
        done = subprocess.run(["sh", "-c", view], cwd=place, env=dict(repo.env), capture_output=True, timeout=60)
        views[view] = f"{done.returncode} {done.stdout!r} {done.stderr!r}"
    return views


def files(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and link below `top`, but for git's and gitrelay's folders: its mode, and its bytes or target."""
    found = {}
    for folder, names, plain in os.walk(os.fsencode(top)):
        names[:] = [n for n in names if n not in (b".git", b".relay")]
        for name in [*plain, *(n for n in names if os.path.islink(os.path.join(folder, n)))]:
            path = os.path.join(folder, name)
            if name == b".git":
                continue
            link = os.path.islink(path)
            data = os.readlink(path) if link else Path(os.fsdecode(path)).read_bytes()
            found[repr(os.path.relpath(path, os.fsencode(top)))] = (os.lstat(path).st_mode, data)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_git_says_the_same_in_a_workspace(repo: Repo, kind: str) -> None:
    repo.sh(KINDS[kind])
    before = seen(repo, repo.path), files(repo.path)
    work = made(repo)
    if kind == "ignored files":
        before[1].pop(repr(b"a.o"), None)
        before[1].pop(repr(b"b/b.o"), None)
    there = seen(repo, work.path)
    assert {view: there[view] for view in VIEWS} == before[0]
    assert files(work.path) == before[1]
    after = seen(repo, repo.path), files(repo.path)
    assert after[0] == before[0], "the caller's repository has changed"
    assert not (repo.path.parent / "smudged").exists()
    assert work.left_out == {}


@pytest.mark.parametrize("kind", ["no commit yet", "submodule", "unmerged", "dirty", "branches, tags, notes, remotes"])
def test_what_was_borrowed_outlives_a_gc_of_the_caller(repo: Repo, kind: str) -> None:
    repo.sh(KINDS[kind])
    work = made(repo)
    repo.sh("git checkout -q -f --orphan blank; git rm -rfq .; git reflog expire --expire=now --all || true")
    refs = repo.sh(
        "git for-each-ref --format='delete %(refname)' refs/heads refs/tags refs/remotes | grep -v /HEAD || true"
    )
    repo.sh(f"git update-ref --stdin <<'END'\n{refs}END")
    repo.sh("git gc -q --prune=now")
    done = subprocess.run(
        ["git", "fsck", "--connectivity-only"], cwd=work.path, env=dict(repo.env), capture_output=True, text=True
    )
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # of an entry that is only intended: never written by git
    missing = [line for line in done.stdout.splitlines() if line.startswith("missing") and empty not in line]
    assert not missing and "error" not in done.stderr, done.stdout + done.stderr


def test_what_the_peer_does_with_git_stays_in_the_workspace(repo: Repo) -> None:
    repo.sh(KINDS["branches, tags, notes, remotes"])
    repo.sh("echo 2 >> app.py; git stash -q")

    def state() -> str:
        return repo.sh("""
            git for-each-ref; git stash list; cat .git/config; ls .git/hooks | sort; git worktree list
            git status --porcelain
        """)

    work = made(repo)
    before = state()
    script = """
        git stash list; git branch -D feat; git update-ref refs/heads/main HEAD; git config user.name Eve
        git config core.hooksPath evil; git tag -f v1; echo evil >> app.py; git commit -qam evil; git gc -q --prune=now
        git remote add evil x; git worktree prune --expire=now; git stash -q || true
    """
    subprocess.run(
        ["sh", "-ec", script], cwd=work.path, env=dict(repo.env), check=True, capture_output=True, timeout=60
    )
    assert state() == before


@pytest.mark.fast
def test_a_workspace_is_removed_whole_and_only_it(repo: Repo) -> None:
    work = made(repo)
    (work.path / "deep").mkdir()
    (work.path / "deep/closed").mkdir(mode=0o555)
    outside = repo.path.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (work.path / "link").symlink_to(outside)
    found = Repository.open(repo.path)
    state = State(found.common_dir)
    workspace.remove(found, state, "s")
    assert not work.path.exists() and (outside / "kept").read_text() == "kept"
    assert repo.git("for-each-ref", "refs/relay/workspaces") == ""
    assert os.listdir(state.root / "workspaces") == [] and os.listdir(repo.path / ".relay/.work") == []


@pytest.mark.parametrize("replaced", ["workspace", "parent"])
def test_removal_follows_no_link(repo: Repo, replaced: str) -> None:
    work = made(repo)
    victim = repo.path.parent / "victim"
    (victim / "s").mkdir(parents=True)
    (victim / "s/kept").write_text("kept")
    if replaced == "workspace":
        repo.sh(f"mv .relay/.work/s ../moved; ln -s {victim}/s .relay/.work/s")
    else:
        repo.sh(f"mv .relay/.work ../moved; ln -s {victim} .relay/.work")
    found = Repository.open(repo.path)
    with pytest.raises(Exception, match="not the folder that gitrelay made"):
        workspace.remove(found, State(found.common_dir), "s")
    assert (victim / "s/kept").read_text() == "kept"
    assert work.path.name == "s"
