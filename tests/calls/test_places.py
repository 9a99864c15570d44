"""Each row of the table in docs/access.md: a change there is seen, and named."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from gitrelay.calls import readonly
from gitrelay.git.repository import Repository
from support.places import ROOT
from support.repo import Repo, copy_of, sealed_environment

GIT = "git -c user.name=x -c user.email=x@example.invalid -c protocol.file.allow=always"
# row of the table -> (what changes there, what is named)
ROWS = {
    "a file of the working tree, ignored and untracked ones too": [
        ("echo x >> app.py", "changed app.py"),
        ("cp -p app.py ../a; echo x >> app.py; cp -p ../a app.py", "changed app.py"),
        ("touch -r app.py ../stamp; echo 'print(2)' > app.py; touch -r ../stamp app.py", "changed app.py"),
        ("echo x >> ignored.log", "changed ignored.log"),
        ("echo x > new.txt", "new new.txt"),
        ("chmod 600 app.py", "changed app.py"),
        ("rm app.py", "deleted app.py"),
        ("echo x >> sub/lib.py", "changed sub/lib.py"),
    ],
    "an empty folder": [("mkdir empty", "new empty/")],
    "a file of another linked working tree": [("echo x >> ../other/app.py", "changed ../other/app.py")],
    "a repository in the working tree": [
        ("git init -q inner", "new inner/.git/"),
        ("echo 'x = !y' >> nested/.git/config", "changed nested/.git/config"),
        ("echo x > nested/.git/hooks/post-commit", "new nested/.git/hooks/post-commit"),
    ],
    "the index": [("echo x > staged; git add staged", "the index")],
    "the flags of index entries": [
        ("git update-index --skip-worktree app.py", "the index"),
        ("git update-index --assume-unchanged app.py", "the index"),
    ],
    "the index of another working tree or submodule": [
        ("git -C ../other update-index --skip-worktree app.py", "the index of "),
        ("git -C sub update-index --assume-unchanged lib.py", "the index of sub"),
    ],
    "HEAD": [("git symbolic-ref HEAD refs/heads/side", "changed .git/HEAD")],
    "MERGE_HEAD and its kin": [
        (f"git rev-parse HEAD > .git/{name}", f"new .git/{name}")
        for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "MERGE_MSG", "AUTO_MERGE")
    ]
    + [("mkdir .git/rebase-merge; echo x > .git/rebase-merge/git-rebase-todo", "new .git/rebase-merge/")],
    "FETCH_HEAD": [("git rev-parse HEAD > .git/FETCH_HEAD", "changed .git/FETCH_HEAD")],
    "a branch, a tag, a note, the stash": [
        ("git branch sneaky", "new refs/heads/sneaky"),
        ("git tag v1", "new refs/tags/v1"),
        (f"{GIT} notes add -m x", "new refs/notes/commits"),
        ("git branch -D side", "deleted refs/heads/side"),
        (f"{GIT} stash drop -q 'stash@{{1}}'", "changed .git/logs/refs/stash"),
        (f"{GIT} stash drop -q 'stash@{{0}}'", "deleted refs/stash"),
    ],
    "a remote-tracking ref": [("git update-ref refs/remotes/origin/main HEAD", "new refs/remotes/origin/main")],
    "a replace ref": [("git replace HEAD HEAD~1", "new refs/replace/")],
    "a symbolic ref": [("git symbolic-ref refs/remotes/origin/HEAD refs/heads/side", "new refs/remotes/origin/HEAD")],
    "a reflog": [("git reflog expire --expire=now --all", "changed .git/logs/HEAD")],
    "the configuration": [
        ("git config core.pager evil", ".git/config"),
        ("printf '[a]\\nb=1\\n' > .git/config.worktree", ".git/config.worktree"),
    ],
    "a file that the configuration includes": [
        ("printf '[x]\\ny=1\\n' >> .git/extra.inc", ".git/extra.inc"),
        ("printf '[x]\\ny=1\\n' > .git/missing.inc", ".git/missing.inc"),
    ],
    "your own configuration, attributes and ignore files": [
        ('printf "[x]\\ny=1\\n" >> "$GIT_CONFIG_GLOBAL"', ".gitconfig"),
        ('mkdir -p "$HOME/.config/git"; echo "* filter=x" > "$HOME/.config/git/attributes"', "git/attributes"),
    ],
    "a hook": [("echo x > .git/hooks/pre-push", ".git/hooks/pre-push")],
    "a hook in core.hooksPath": [("echo x > ../hooks/pre-push", "hooks/pre-push")],
    "info/exclude, info/attributes, info/sparse-checkout": [
        (f"mkdir -p .git/info; echo x >> .git/info/{name}", f".git/info/{name}")
        for name in ("exclude", "attributes", "sparse-checkout")
    ],
    "grafts and shallow": [
        ("mkdir -p .git/info; git rev-parse HEAD > .git/info/grafts", "new .git/info/grafts"),
        ("git rev-parse HEAD > .git/shallow", "new .git/shallow"),
    ],
    "alternates": [("echo /tmp > .git/objects/info/alternates", "new .git/objects/info/alternates")],
    "HEAD of another working tree": [("git -C ../other checkout -q HEAD~1", ".git/worktrees/other/HEAD")],
    "HEAD, refs, configuration and hooks of a submodule": [
        (f"{GIT} -C sub commit -q --allow-empty -m x", ".git/modules/sub/"),
        ("git -C sub branch sneaky", ".git/modules/sub/refs/heads/sneaky"),
        ("git -C sub config core.fsmonitor evil", ".git/modules/sub/config"),
        ("echo x > .git/modules/sub/hooks/post-commit", ".git/modules/sub/hooks/post-commit"),
    ],
    "another session": [
        ("git update-ref refs/heads/relay/victim relay/victim~1", "changed refs/heads/relay/victim"),
        ("git update-ref -d refs/heads/relay/victim", "deleted refs/heads/relay/victim"),
        (
            f"git update-ref refs/heads/relay/victim $({GIT} commit-tree -p relay/victim -m x relay/victim^{{tree}})",
            "changed refs/heads/relay/victim",
        ),
        ("git symbolic-ref refs/heads/relay/victim refs/heads/main", "changed refs/heads/relay/victim"),
    ],
    "a new branch below relay/": [("git branch relay/mine", "new refs/heads/relay/mine")],
    "its own session": [
        ("git update-ref refs/heads/relay/own $(git rev-parse relay/own~1)", "changed refs/heads/relay/own"),
        (
            f"git update-ref refs/heads/relay/own $({GIT} commit-tree -p relay/own -m 'x\n\nRelay-Id: 01'"
            " relay/own^{tree})",
            "changed refs/heads/relay/own",
        ),
    ],
}


PUT_BACK = """
for s in victim own; do
  git update-ref --no-deref refs/heads/relay/$s $(git rev-parse refs/keep/$s)
done
"""


def rows() -> list[str]:
    text = (ROOT / "docs/access.md").read_text()
    table = text.partition("## What read access is compared by")[2].partition("\n\nA comparison")[0]
    return re.findall(r"^\| (.+?) \| .+ \|$", table, re.MULTILINE)[1:]


def test_every_row_is_tried() -> None:
    assert rows() == list(ROWS)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    folder = tmp_path_factory.mktemp("full")
    repo = Repo(folder / "repo", sealed_environment(folder / "home"))
    repo.path.mkdir()
    repo.sh(
        f"""
        git init -q; echo 'print(1)' > app.py; git add app.py; git commit -qm 'first'
        printf '*.log\\n' > .gitignore; echo a > ignored.log; git add .gitignore; {GIT} commit -qm ignore
        git init -q ../lib && (cd ../lib && echo 1 > lib.py && git add . && {GIT} commit -qm lib)
        {GIT} submodule --quiet add ../lib sub; {GIT} commit -qm sub
        git init -q nested; mkdir -p nested/.git/hooks .git/hooks ../hooks .git/modules/sub/hooks
        for i in 1 2; do echo $i >> app.py; {GIT} stash -q; done
        git branch side; git worktree add -q --detach ../other
        git config include.path extra.inc; printf '[x]\\nz=1\\n' > .git/extra.inc
        git config includeIf.gitdir:/.path missing.inc; git config core.hooksPath "$PWD/../hooks"
        """
    )
    for session in ("victim", "own"):
        assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", session, "true").code == 0
    repo.sh("for s in victim own; do git update-ref refs/keep/$s relay/$s; done")
    return repo


@pytest.fixture
def full(template: Repo, tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository that has one of each."""
    repo = copy_of(template, tmp_path / "repo", env, "lib", "hooks", "other")
    repo.sh('git config core.hooksPath "$PWD/../hooks"; git -C ../other status -s; git status -s')
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return repo


def look(repo: Repo) -> readonly.Print:
    return readonly.take(Repository.open(repo.path))


def changed(repo: Repo, before: readonly.Print) -> list[str]:
    return readonly.compare(Repository.open(repo.path), before, look(repo), "own").named()


@pytest.mark.parametrize("row", ROWS)
def test_a_change_in_each_place_is_named(full: Repo, row: str) -> None:
    for script, named in ROWS[row]:
        full.sh(PUT_BACK)
        before = look(full)
        assert not before.fault
        full.sh(script)
        found = changed(full, before)
        assert any(named in words for words in found), (script, found)


def test_looking_changes_nothing(full: Repo) -> None:
    before = look(full)
    full.sh(
        "git status; git diff; git log --oneline -5; git -C sub status; git -C ../other status; git fsck;"
        " git stash list; git grep print; git blame app.py; git relay ls; git relay show victim/01",
        check=False,
    )
    assert changed(full, before) == []


def test_what_other_calls_do_to_sessions_is_no_change(full: Repo) -> None:
    before = look(full)
    for session in ("victim", "fresh"):
        assert full.relay("req", "--from", "uma", "--to", "shell", "--session", session, "true").code == 0
    full.relay("archive", "victim")
    full.relay("req", "--from", "uma", "--to", "shell", "true")
    assert changed(full, before) == []


def test_what_cannot_be_compared_any_more_is_a_change(full: Repo) -> None:
    before = look(full)
    full.sh("echo garbage > .git/index")
    after = look(full)
    assert after.fault
    assert readonly.compare(Repository.open(full.path), before, after).never


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_a_fault(full: Repo) -> None:
    full.sh("mkdir closed; chmod 0 closed")
    assert look(full).fault


def test_the_walk_is_no_status(full: Repo) -> None:
    """A linked working tree inside the tree is walked once, and sessions' working trees are not."""
    full.sh("git worktree add -q --detach inside")
    assert "inside/app.py" in look(full).files
    subprocess.run(["git", "relay", "req", "--to", "shell", "true"], cwd=full.path / "inside", env=dict(full.env))
    assert not [path for path in look(full).files if ".relay" in path]
