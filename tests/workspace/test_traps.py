"""What has gone wrong with copied trees: each a few lines, several to a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelay.errors import CannotRecord
from gitrelay.git.repository import Repository
from gitrelay.ledger import snapshot
from gitrelay.state.folder import State
from gitrelay.workspace import index, place, workspace
from support.repo import Repo

ALONE = ("req", "--from", "uma", "--to", "shell", "--isolate", "--session", "s")


def in_workspace(repo: Repo, work: Path, script: str) -> str:
    done = subprocess.run(["sh", "-ec", script], cwd=work, env=dict(repo.env), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def paths(repo: Repo, address: str) -> set[str]:
    return {one["path"] for one in repo.relay("diff", address, "--json").json["data"]["files"]}


@pytest.mark.parametrize("setting", ["", "core.trustctime false", "core.checkStat minimal"])
def test_a_file_that_keeps_its_size_and_time_is_seen(repo: Repo, setting: str) -> None:
    """Also by a peer that is faster than the second in which its workspace was made, whatever git is told to trust."""
    os.utime(repo.path / "app.py", (1_600_000_000, 1_600_000_000))
    repo.sh(f"git config {setting}; git status" if setting else "git status")
    trick = "cp -p app.py old; printf 'print(2)\\n' > app.py; touch -r old app.py; rm old; stat -c %Y app.py"
    done = repo.relay(*ALONE, "--", trick)
    assert done.code == 0 and "1600000000" in done.out, done.err
    assert paths(repo, "s/01") == {"app.py"}


def test_git_reads_again_what_was_made_in_the_last_second(repo: Repo) -> None:
    """Then nothing has to be waited for; of many files it would be slower than to wait."""
    repo.sh(
        "for i in 1 2 3; do echo $i > f$i.txt; done; git add .; git commit -qm f; touch -d @1600000000 *; git status"
    )
    found = Repository.open(repo.path)
    state = State(found.common_dir)
    workspace.make(found, state, "s")
    kept = place.index_path(state.root, "s")
    second = int((repo.path / ".relay/.work/s/f1.txt").stat().st_ctime)
    data = kept.read_bytes()
    assert index.unsettled(data, "sha1", second + 2, 0) == data
    assert index.unsettled(data, "sha1", second, 2) is None
    again = index.unsettled(data, "sha1", second, 4)
    assert again is not None
    kept.write_bytes(again)
    assert repo.sh(f"GIT_INDEX_FILE={kept} git ls-files --debug | grep -c 'mtime: 0:0'") == "4\n"
    assert repo.sh(f"GIT_INDEX_FILE={kept} GIT_WORK_TREE=.relay/.work/s GIT_DIR=.git git status --porcelain") == ""


def test_the_caller_goes_on_to_another_branch_meanwhile(repo: Repo) -> None:
    repo.sh("printf '%s\\n' a b c d e f > f.txt; git add .; git commit -qm f; echo mine > mine.txt")
    goes_on = f"sed -i s/a/A/ f.txt; cd {repo.path}; git checkout -q -b other; sed -i s/f/F/ f.txt; git commit -qam F"
    done = repo.relay(*ALONE, "--", goes_on)
    assert done.code == 0, done.out
    assert paths(repo, "s/01") == {"f.txt"}
    assert repo.relay("apply", "s/01").code == 0
    assert (repo.path / "f.txt").read_text() == "A\nb\nc\nd\ne\nF\n" and repo.git("branch", "--show-current") == "other"
    # a merge that has stopped: what the peer changes elsewhere can be applied all the same
    repo.sh("git commit -qam A; git checkout -q -b third HEAD~1; sed -i s/a/X/ f.txt; git commit -qam X")
    repo.sh("! git merge -q other; git status --porcelain | grep -q '^UU f.txt'")
    assert repo.relay(*ALONE, "--fresh", "--", "echo new > new.txt; git status | head -3").code == 0
    assert paths(repo, "s/02") == {"new.txt"}
    assert repo.relay("apply", "s/02").code == 0 and (repo.path / "new.txt").exists()
    assert repo.relay("fsck").code == 0


def test_refs_of_every_sort_and_number(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    lines = [f"{head} refs/heads/many/b{n:05}\n" for n in range(10_000)]
    (repo.path / ".git/packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + "".join(lines))
    (repo.path / ".git/refs/heads/broken").write_text("1" * 40 + "\n")
    repo.sh("git symbolic-ref refs/heads/alias refs/heads/main; git symbolic-ref refs/remotes/o/HEAD refs/remotes/o/x")
    found = Repository.open(repo.path)
    work = workspace.make(found, State(found.common_dir), "s").path
    listed = in_workspace(repo, work, "git for-each-ref --format='%(refname)' refs/heads/many | wc -l; git status -sb")
    assert listed.split("\n")[:2] == ["10000", "## main"]
    assert in_workspace(repo, work, "git symbolic-ref refs/heads/alias") == "refs/heads/main\n"
    parents = repo.git("log", "-1", "--format=%P", "refs/relay/workspaces/s").split()
    assert parents == [head], "each commit is kept once"


def test_a_workspace_that_is_made_again_is_as_new(repo: Repo) -> None:
    repo.sh("mkdir d; echo 1 > d/x; git add .; git commit -qm d; echo staged >> d/x; git add d/x; echo more >> d/x")
    found = Repository.open(repo.path)
    state = State(found.common_dir)
    work = workspace.make(found, state, "s").path
    in_workspace(repo, work, "git commit -qam theirs; rm -r d; echo f > d; git checkout -q -b theirs; git gc -q")
    assert workspace.make(found, state, "s").path == work
    views = "git status --porcelain=v2 -b; git diff; git diff --cached; git branch; git log --format=%H"
    assert in_workspace(repo, work, views) == repo.sh(views)
    seen = workspace.seen(found, state, "s")
    assert seen is not None
    there, here = snapshot.take(seen, "s"), snapshot.take(found, "s")
    assert there is not None and here is not None and there.tree == here.tree


@pytest.fixture
def small(repo: Repo) -> Iterator[Path]:
    """The folder of the workspaces on a file system of its own, of 300 kB."""
    place = repo.path / ".relay/.work"
    place.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(place)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_another_file_system_and_one_that_is_full(repo: Repo, small: Path) -> None:
    repo.sh("printf '*\\n' > .relay/.gitignore; head -c 20000 /dev/urandom > some.bin; git add .; git commit -qm 20k")
    done = repo.relay(*ALONE, "--", "cmp some.bin ../../../some.bin; git status --porcelain; echo x > x.txt")
    assert done.code == 0 and paths(repo, "s/01") == {"x.txt"}, done.out + done.err
    assert repo.relay("close", "s").code == 0
    repo.sh("head -c 600000 /dev/urandom > large.bin")
    found = Repository.open(repo.path)
    with pytest.raises(CannotRecord, match="No space left on device"):
        workspace.make(found, State(found.common_dir), "t")
    assert list(small.iterdir()) == [] and repo.git("for-each-ref", "refs/relay/workspaces") == ""
    assert list((repo.path / ".git/relay/workspaces").iterdir()) == []
    assert repo.git("status", "--porcelain") == "?? large.bin"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo precious > .relay", "something else is there"),
        ("mkdir ../else; ln -s ../else .relay", "something else is there"),
        ("mkdir -p ../else/s .relay; ln -s ../../else .relay/.work", "something else is there"),
        ("mkdir .relay; echo precious > .relay/.work", "something else is there"),
        ("mkdir -p .relay/.work/s; echo precious > .relay/.work/s/x", "something else is there"),
        ("ln -s nowhere .relay", "something else is there"),
        ("echo junk > .git/index", "index file smaller than expected"),
        ("printf 'DIRC%080d' 0 > .git/index", "index file"),
    ],
)
def test_what_is_in_the_way_is_named_and_stays(repo: Repo, script: str, words: str) -> None:
    repo.sh(script)
    done = repo.relay(*ALONE, "true")
    assert done.code == 4 and words in done.err and ".git writable" not in done.err, (done.code, done.err)
    assert repo.sh("cat .relay .relay/.work .relay/.work/s/x 2>/dev/null || true").count("precious") == script.count(
        "precious >"
    )
    assert list((repo.path / ".git/relay/workspaces").iterdir()) == [], "a note of a workspace that is not there"
    assert repo.git("for-each-ref", "refs/relay", "refs/heads/relay") == ""
    assert repo.relay("status").code == 0


def test_a_copy_of_the_repository_has_no_workspaces_and_one_that_was_moved_has_its_own(repo: Repo) -> None:
    assert repo.relay(*ALONE, "echo x > x.txt").code == 0
    copy = repo.path.parent / "copy"
    repo.sh("cp -a . ../copy")
    refused = repo.relay(*ALONE, "true", cwd=copy)
    assert refused.code == 4 and "copy/.relay/.work/s" in refused.err, refused.err
    for words in (("status",), ("close", "s")):
        assert repo.relay(*words, cwd=copy).code == 0
    assert (repo.path / ".relay/.work/s/x.txt").exists(), "it is of the repository that was copied"
    assert (copy / ".relay/.work/s/x.txt").exists()
    moved = repo.path.parent / "moved"
    repo.path.rename(moved)
    again = repo.relay(*ALONE, "pwd; cat x.txt", cwd=moved)
    assert again.code == 0 and f"{moved}/.relay/.work/s\nx\n" in again.out, again.out + again.err
    assert repo.relay("close", "s", cwd=moved).code == 0
    assert list((moved / ".relay/.work").iterdir()) == [] and list((moved / ".git/relay/workspaces").iterdir()) == []


def test_files_are_not_removed_just_before_a_set_up(repo: Repo, small: Path) -> None:
    """ext4 makes new files five times as slowly then; only a disk that is full has them removed at once."""
    repo.sh("printf '*\\n' > .relay/.gitignore; head -c 20000 /dev/urandom > some.bin; git add .; git commit -qm 20k")
    repo.git("config", "relay.setup", "ls -A .. | sed s/-.*// | tr '\\n' ' ' >> ../../../../listed")
    for _ in range(3):
        assert repo.relay(*ALONE, "--fresh", "true").code == 0
        assert [path.name for path in small.iterdir()] == ["s"]
    assert (repo.path.parent / "listed").read_text() == "s .gone s .gone s "
    (small / ".gone-0123").mkdir()
    assert repo.relay("status").code == 0 and [path.name for path in small.iterdir()] == ["s"]
    repo.sh("head -c 150000 /dev/urandom > large.bin")
    for _ in range(2):  # two of them do not fit
        assert repo.relay(*ALONE, "--fresh", "true").code == 0
        assert [path.name for path in small.iterdir()] == ["s"]


def test_no_filter_runs_in_a_set_up(repo: Repo) -> None:
    """Neither that of a file whose content is not fetched (as with LFS), nor one that takes its time."""
    repo.sh(
        "echo pointer > a.bin; echo x > b.bin; git add .; git commit -qm 2; echo '*.bin filter=lfs' > .gitattributes"
    )
    repo.sh("git add .; git commit -qm 3; git status")
    for kind in ("clean", "smudge", "process"):
        repo.git("config", f"filter.lfs.{kind}", f"echo run >> {repo.path.parent}/runs; sleep 600; false")
    repo.git("config", "filter.lfs.required", "true")
    (repo.path / "b.bin").write_text("y\n")
    found = Repository.open(repo.path)
    work = workspace.make(found, State(found.common_dir), "s").path
    assert (work / "a.bin").read_text() == "pointer\n" and (work / "b.bin").read_text() == "y\n"
    assert not (repo.path.parent / "runs").exists()
