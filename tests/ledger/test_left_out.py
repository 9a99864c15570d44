"""What a recorded tree leaves out is named, and one odd path never costs the others."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitrelay.git.repository import Repository
from gitrelay.ledger import leavingout, snapshot
from support.ledgercheck import assert_sound
from support.repo import Repo

SHELL = ("req", "--from", "uma", "--to", "shell", "--session", "s")
KEY = "".join(("ghp_", "x9Ab3dEf7Gh1JkLm5NpQr8StUv2WxYz4aBcD"))  # in two, or this file would not be recorded


def trailer(repo: Repo, name: str, rev: str = "relay/s") -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key={name},valueonly)", rev).strip()


def files_of(repo: Repo, tree: str) -> list[str]:
    return repo.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", tree).splitlines()


ODD = {
    "a repository without a commit": ("git init -q 'in ner'", "in ner"),
    "many of them": ("for i in 1 2 3 4 5 6 7 8 9; do git init -q z$i; git init -q a$i; done", "a1"),
    "a filter that fails": ("git config filter.f.clean 'exit 3'; git config filter.f.required true", "x.f"),
    "a filter that is not there": ("git config filter.f.clean /no/such; git config filter.f.required true", "x.f"),
    "a filter process that is not there": (
        "git config filter.f.process nope; git config filter.f.required true",
        "x.f",
    ),
    "mixed line ends": ("git config core.autocrlf input; git config core.safecrlf true; printf 'a\\r\\nb\\n' >m", "m"),
    "an encoding that is none": ("echo '*.u working-tree-encoding=UTF-16' >.gitattributes; printf 'abc' >b.u", "b.u"),
}


@pytest.mark.parametrize(("script", "name"), ODD.values(), ids=ODD)
def test_one_odd_path_does_not_cost_the_others(repo: Repo, script: str, name: str) -> None:
    repo.sh("echo '*.f filter=f' > .git/info/attributes; echo 1 > x.f; echo 1 > y.f")
    repo.sh("for i in $(seq 40); do echo $i > file$i; done")
    repo.sh(script)
    done = repo.relay(*SHELL, "echo two >> app.py; echo new > new.txt")
    assert done.code == 0, done.err
    assert name in done.err and len(done.err.splitlines()) == 2, done.err
    shown = repo.relay("diff", "s/01")
    assert shown.code == 0 and "+two\n" in shown.out and "new.txt" in shown.out
    assert name in shown.err
    tree = trailer(repo, "Relay-Tree")
    assert set(files_of(repo, tree)) >= {f"file{i}" for i in range(1, 41)}
    assert int(trailer(repo, "Relay-Left-Out")) == len(snapshot_of(repo).left) > 0
    assert "not recorded: " in repo.git("log", "-1", "--format=%B", "relay/s")
    again = repo.relay(*SHELL, "true")
    assert again.err == "s/02\n", "what was said once is not said again"
    assert repo.relay("fsck").code == 0
    assert_sound(repo)


def snapshot_of(repo: Repo) -> snapshot.Snapshot:
    found = snapshot.take(Repository.open(repo.path), "s")
    assert found is not None
    return found


def test_a_filter_that_fails_on_one_file_alone(repo: Repo) -> None:
    repo.sh("""
        echo '*.f filter=f' > .git/info/attributes; git config filter.f.required true
        git config filter.f.clean 'f=$(cat); [ "$f" != bad ] && echo "$f"'
        for i in 1 2 3 4 5 6; do echo good > $i.f; done; echo bad > 4.f
    """)
    found = snapshot_of(repo)
    assert [one.path for one in found.left] == [b"4.f"] and "clean filter" in found.left[0].why
    assert [f for f in files_of(repo, found.tree) if f.endswith(".f")] == ["1.f", "2.f", "3.f", "5.f", "6.f"]


def test_a_tracked_file_that_cannot_be_read_stays_as_it_was(repo: Repo) -> None:
    repo.sh("""
        echo 1 > x.f; git add .; git commit -qm f; echo '*.f filter=f' > .git/info/attributes
        git config filter.f.clean 'exit 1'; git config filter.f.required true; echo 2 > x.f; echo 2 > app.py
    """)
    found = snapshot_of(repo)
    assert [one.path for one in found.left] == [b"x.f"]
    assert repo.git("show", f"{found.tree}:x.f") == "1" and repo.git("show", f"{found.tree}:app.py") == "2"


@pytest.mark.skipif(os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root reads everything")
def test_files_and_folders_that_nobody_may_read(repo: Repo) -> None:
    repo.sh("echo 1 > closed; mkdir shut; echo 1 > shut/in; echo 2 > open; chmod 0 closed shut; echo 2 > app.py")
    program = "import sys; from pathlib import Path; from gitrelay.git.repository import Repository as R; " + (
        "from gitrelay.ledger import snapshot; s = snapshot.take(R.open(Path(sys.argv[1])), 's'); "
        "print(s.tree, *sorted(one.path.decode() for one in s.left))"
    )
    as_nobody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*as_nobody, os.sys.executable, "-c", program, str(repo.path)],  # type: ignore[attr-defined]
        env=dict(repo.env),
        capture_output=True,
        text=True,
        timeout=60,
    )
    repo.sh("chmod 700 shut; chmod 600 closed")
    assert done.returncode == 0, done.stderr
    tree, *left = done.stdout.split()
    assert left == ["closed", "shut/"] and files_of(repo, tree) == ["app.py", "open"]


# -- size ------------------------------------------------------------------------------------------


def test_a_large_file_is_left_out_and_named(repo: Repo) -> None:
    repo.sh("truncate -s 51MB big.bin; truncate -s 49MB smaller.bin")
    done = repo.relay(*SHELL, "true")
    assert "big.bin (51 MB, above relay.snapshotMax)" in done.err and "smaller" not in done.err
    assert files_of(repo, trailer(repo, "Relay-Tree")) == ["app.py", "smaller.bin"]
    assert "big.bin" in repo.relay("show", "s/01").err and "big.bin" not in repo.relay("show", "s/01").out
    assert repo.relay("diff", "s/01", "--json").json["data"]["left_out"] == ["big.bin (51 MB, above relay.snapshotMax)"]


@pytest.mark.parametrize(("value", "limit"), [("1k", 1000), ("2 MB", 2_000_000), ("3GiB", 3 * 1000**3), ("none", None)])
def test_the_limit_is_a_setting(repo: Repo, value: str, limit: int | None) -> None:
    repo.git("config", "relay.snapshotMax", value)
    assert leavingout.size_limit(Repository.open(repo.path)) == limit


def test_a_limit_that_is_none_is_refused(repo: Repo) -> None:
    repo.git("config", "relay.snapshotMax", "huge")
    done = repo.relay(*SHELL, "true")
    assert done.code == 2 and "relay.snapshotMax 'huge'" in done.err


def test_a_file_that_grows_beyond_the_limit_is_no_change(repo: Repo) -> None:
    repo.git("config", "relay.snapshotMax", "1k")
    repo.sh("echo small > data; echo small > app.py")
    assert repo.relay(*SHELL, "seq 1000 > data; seq 1000 > app.py; echo 1 > other").code == 0
    shown = repo.relay("diff", "s/01")
    assert "other" in shown.out and "data" not in shown.out and "app.py" not in shown.out
    assert "data" in shown.err and "app.py" in shown.err
    assert trailer(repo, "Relay-Left-Out") == "2" and trailer(repo, "Relay-Left-Out", "relay/s~1") == "0"


# -- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [".env", "deploy/.env.production", "keys/id_ed25519", "server.pem", ".npmrc", "sub dir/credentials.json"]
)
def test_a_file_that_is_a_secret_by_its_name_is_left_out(repo: Repo, name: str) -> None:
    (repo.path / name).parent.mkdir(parents=True, exist_ok=True)
    (repo.path / name).write_text("whatever\n")
    done = repo.relay(*SHELL, "true")
    assert f"{name} (a secret, by its name)" in done.err and "relay.snapshotExclude" in done.err
    assert files_of(repo, trailer(repo, "Relay-Tree")) == ["app.py"]
    words = done.err.splitlines()[0].rpartition("git config ")[2]
    repo.sh(f"git config {words}")  # as the note says
    assert repo.relay(*SHELL, "true").err == "s/02\n"
    assert name in files_of(repo, trailer(repo, "Relay-Tree"))


def test_a_secret_in_a_new_file_is_left_out_and_nothing_of_it_is_written(repo: Repo) -> None:
    (repo.path / "notes.txt").write_text(f"deploy with {KEY}\n")
    (repo.path / "config.py").write_text(f'import os\ntoken = "{KEY}"\n')
    repo.sh("echo fine > fine.txt; head -c 2000000 /dev/zero > zeros; echo TOKEN= > .env.example")
    done = repo.relay(*SHELL, f"echo {'made'} > later.txt; printf '%s%s' {KEY[:10]} {KEY[10:]} > made.txt")
    assert done.code == 0 and "notes.txt (a secret in it (" in done.err and "config.py" in done.err
    tree = trailer(repo, "Relay-Tree")
    assert files_of(repo, tree) == [".env.example", "app.py", "fine.txt", "later.txt", "zeros"]
    assert "made.txt" in repo.relay("diff", "s/01").err
    objects = repo.git("cat-file", "--batch-check", "--batch-all-objects").splitlines()
    blobs = [line.split()[0] for line in objects if line.split()[1] == "blob"]
    assert all(KEY not in repo.git("cat-file", "blob", blob) for blob in blobs if blob)


def test_what_git_tracks_already_is_not_looked_at(repo: Repo) -> None:
    repo.sh("echo A=1 > .env; git add -f .env; git commit -qm env; echo B=2 >> .env; echo 1 > staged.pem; git add .")
    assert repo.relay(*SHELL, "true").err == "s/01\n"
    assert files_of(repo, trailer(repo, "Relay-Tree")) == [".env", "app.py", "staged.pem"]


def test_patterns_of_the_user(repo: Repo) -> None:
    for pattern in ("*.csv", "data/", "!data/keep/", "/build/out", "!*.pem"):
        repo.git("config", "--add", "relay.snapshotExclude", pattern)
    repo.sh("""
        mkdir -p data/keep deep/data build/out; touch a.csv deep/b.csv data/x data/keep/y deep/data/z build/out/o a.pem
        echo 2 > app.py
    """)
    assert files_of(repo, snapshot_of(repo).tree) == ["a.pem", "app.py", "data/keep/y"]


# -- files that git was told not to look at --------------------------------------------------------


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_flagged_files_are_looked_at(repo: Repo, flag: str) -> None:
    repo.sh("echo 1 > b; mkdir d; echo 1 > d/c; git add .; git commit -qm b")
    repo.git("update-index", flag, "app.py", "d/c")
    before = repo.sh("sha256sum .git/index; git ls-files -v")
    assert repo.relay(*SHELL, "echo 2 > app.py; echo 2 > d/c; echo 2 > b").code == 0
    assert repo.sh("sha256sum .git/index; git ls-files -v") == before
    rows = repo.relay("diff", "s/01", "--json").json["data"]["files"]
    assert [row["path"] for row in rows] == ["app.py", "b", "d/c"]


def test_a_flagged_file_that_is_gone(repo: Repo) -> None:
    repo.git("update-index", "--assume-unchanged", "app.py")
    repo.sh("rm app.py")
    assert files_of(repo, snapshot_of(repo).tree) == []
    repo.sh("git update-index --no-assume-unchanged app.py; git update-index --skip-worktree app.py")
    assert files_of(repo, snapshot_of(repo).tree) == ["app.py"], "as in a sparse checkout"


# -- submodules ------------------------------------------------------------------------------------


@pytest.fixture
def parent(repo: Repo) -> Repo:
    """A repository with the submodule `lib`, which has the submodule `deep`."""
    repo.sh("""
        git config --global protocol.file.allow always
        for r in deep lib; do
            git init -q ../$r; echo 1 > ../$r/a.txt; git -C ../$r add .; git -C ../$r commit -qm 1
        done
        git -C ../lib submodule -q add "$PWD/../deep" deep; git -C ../lib commit -qm deep
        git submodule -q add "$PWD/../lib" lib; git submodule -q update --init --recursive; git commit -qm lib
    """)
    return repo


def test_changes_inside_a_submodule_are_recorded(parent: Repo) -> None:
    head = parent.git("rev-parse", "HEAD^{tree}")
    assert parent.relay(*SHELL, "true").code == 0 and trailer(parent, "Relay-Tree") == head
    before = parent.sh("cd lib; git log --branches --format=%H; git status --porcelain; git stash list")
    assert parent.relay(*SHELL, "echo 2 >> lib/a.txt; echo 3 > lib/new; echo 4 > lib/deep/b; echo 5 > top").code == 0
    shown = parent.relay("diff", "s/02")
    for line in ("+++ b/lib/a.txt", "+++ b/lib/new", "+++ b/lib/deep/b", "+++ b/top"):
        assert line in shown.out.splitlines()
    assert trailer(parent, "Relay-Left-Out") == "0"
    rows = parent.relay("diff", "s/02", "--json", "--", "lib/deep").json["data"]["files"]
    assert [row["path"] for row in rows if row["added"] != 1 or "/b" in row["path"]] == ["lib/deep/b"]
    assert parent.relay(*SHELL, "true").code == 0
    assert parent.relay("diff", "s/03").out == "", "the same files are the same tree"
    parent.sh("git -C lib gc -q --prune=now; git -C lib/deep gc -q --prune=now; git gc -q --prune=now")
    assert "+++ b/lib/deep/b" in parent.relay("diff", "s/02").out
    parent.sh("rm lib/new lib/deep/b; git -C lib checkout -q a.txt")
    assert parent.sh("cd lib; git log --branches --format=%H; git status --porcelain; git stash list") == before
    assert_sound(parent)


def test_a_submodules_repository_that_a_peer_could_write_is_named_and_not_asked(parent: Repo) -> None:
    parent.sh("""
        rm lib/.git; git init -q lib; git -C lib add .; git -C lib commit -qm own; echo 2 > lib/a.txt
        git -C lib config filter.x.clean 'touch ../pwned; cat'; echo '* filter=x' > lib/.gitattributes
    """)
    (parent.path / "pwned").unlink(missing_ok=True)
    done = parent.relay(*SHELL, "echo 3 >> lib/a.txt; echo 1 > top")
    assert done.code == 0 and "lib" in done.err
    assert "lib" in parent.relay("diff", "s/01").err and "+++ b/top" in parent.relay("diff", "s/01").out


def test_another_repository_inside_is_named(repo: Repo) -> None:
    repo.sh("git init -q in; git -C in commit -q --allow-empty -m in")
    assert "in/ (another repository" in repo.relay(*SHELL, "true").err


def test_an_exchange_from_before_the_count_is_sound(repo: Repo) -> None:
    assert repo.relay(*SHELL, "true").code == 0
    repo.sh("""
        git clone -q --mirror . ../old.git; cd ../old.git
        git filter-branch --msg-filter 'grep -v ^Relay-Left-Out:' -- refs/heads/relay/s >/dev/null 2>&1
    """)
    old = Repo(repo.path.parent / "old.git", repo.env)
    assert trailer(old, "Relay-Left-Out") == "" and trailer(old, "Relay-Tree") != ""
    assert old.relay("fsck").code == 0 and old.relay("diff", "s/01").code == 0
