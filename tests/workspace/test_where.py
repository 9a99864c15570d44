"""`relay.workspaces`: workspaces in a folder that is not in the caller's tree."""

from __future__ import annotations

import os

import pytest

from gitrelay.errors import UsageError
from gitrelay.git.repository import Repository
from gitrelay.workspace import where
from support.repo import GIT_RELAY, Repo

ALONE = ("req", "--from", "uma", "--to", "shell", "--isolate", "--session", "s")


def test_a_workspace_elsewhere_is_used_found_again_and_removed(repo: Repo) -> None:
    outside = repo.path.parent / "work"
    outside.mkdir(mode=0o700)
    repo.git("config", "relay.workspaces", str(outside))
    inner = f"{' '.join(GIT_RELAY)} req --from shell --to shell --session inner 'pwd; echo y > y.txt'"
    done = repo.relay(*ALONE, "--", f"pwd; git status --porcelain; echo x > x.txt; {inner}")
    assert done.code == 0, done.out + done.err
    (work,) = outside.glob("repo-*/s")
    assert done.out.count(str(work)) >= 2 and not (repo.path / ".relay/.work").exists()
    changed = {one["path"] for one in repo.relay("diff", "s/01", "--json").json["data"]["files"]}
    assert changed == {"x.txt", "y.txt"}
    assert repo.relay("show", "inner/01").code == 0, "it is in the caller's record"
    assert repo.relay(*ALONE, "cat x.txt; mkdir deep; cd deep; pwd").code == 0
    listed = repo.relay("ls", "--json", cwd=work / "deep").json["data"]
    assert {one["session"] for one in listed} == {"s", "inner"}
    assert repo.relay("apply", "s/01").code == 0 and (repo.path / "x.txt").exists()
    assert repo.relay("close", "s", "inner").code == 0
    assert [path for path in work.parent.iterdir()] == [] and repo.relay("fsck").code == 0


def test_a_file_beside_a_folder_makes_no_workspace_of_it(repo: Repo) -> None:
    """What is found in a tree may say that it is a workspace of any repository: the note of that one decides."""
    other = repo.path.parent / "other"
    other.mkdir(mode=0o700)
    repo.sh("git init -q ../other/s; git -C ../other/s commit -q --allow-empty -m other")
    (other / ".caller-s").write_text(str(repo.path))
    assert repo.relay(*ALONE, "true").code == 0
    assert repo.relay("ls", "--json", cwd=other / "s").json["data"] == []


def test_a_bad_folder_is_refused(repo: Repo) -> None:
    top = repo.path
    repo.sh("mkdir -m 700 ../own ../own/sub; ln -s own ../link; mkdir -m 777 ../open; touch ../file; mkdir -m 700 in")
    for path, why in (
        ("work", "not absolute"),
        ("../own", "not absolute"),
        (f"{top}/../own", "'..'"),
        (f"{top.parent}/link", "a link"),
        (f"{top.parent}/link/sub", "a link"),
        (f"{top}/.git/relay", "inside the repository"),
        (f"{top}/in", "inside the repository"),
        (f"{top}", "inside the repository"),
        (f"{top.parent}/none", "No such file"),
        (f"{top.parent}/file", "no folder"),
        (f"{top.parent}/open", "written by others"),
    ):
        os.chmod(top.parent / "open", 0o777)
        repo.git("config", "relay.workspaces", path)
        with pytest.raises(UsageError, match=why) as raised:
            where.folder(Repository.open(top))
        assert path in raised.value.message
    done = repo.relay(*ALONE, "true")
    assert done.code == 2 and "relay.workspaces" in done.err and repo.git("branch", "--list", "relay/*") == ""
    repo.git("config", "relay.workspaces", f"{top.parent}/own/")
    assert where.folder(Repository.open(top)) == f"{top.parent}/own"
