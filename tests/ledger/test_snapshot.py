"""The caller's files before and after every call, as trees: what changed can be shown, and brought elsewhere."""

from __future__ import annotations

import subprocess

import pytest

from gitrelay.git.repository import Repository
from gitrelay.ledger import snapshot
from support.repo import Repo

SHELL = ("req", "--from", "uma", "--to", "shell", "--session", "s")


def trees(repo: Repo, session: str = "s") -> list[str]:
    """The recorded trees of a session, oldest first."""
    out = repo.git("log", "--reverse", "--format=%(trailers:key=Relay-Tree,valueonly)", f"refs/heads/relay/{session}")
    return [line for line in out.splitlines() if line]


def test_a_clean_tree_is_heads_own(repo: Repo) -> None:
    assert repo.relay(*SHELL, "true").code == 0
    assert trees(repo) == [repo.git("rev-parse", "HEAD^{tree}")] * 2
    assert len(repo.git("rev-list", "refs/relay/code/s").splitlines()) == 1


def test_changed_untracked_and_deleted_files_are_in_the_tree_and_ignored_ones_are_not(repo: Repo) -> None:
    repo.sh("""
        echo '*.log' > .gitignore; echo gone > gone.txt; echo kept > 'spaced ünï.txt'; git add -A; git commit -qm more
        echo staged > staged.txt; git add staged.txt; echo later > staged.txt
        echo 'print(2)' > app.py; rm gone.txt; mkdir -p new/deep; echo x > new/deep/file; echo y > noise.log
        ln -s app.py link; chmod +x app.py
    """)
    before = repo.sh("cat .git/index | sha256sum; git stash list; git status --porcelain")
    assert repo.relay(*SHELL, "true").code == 0
    assert repo.sh("cat .git/index | sha256sum; git stash list; git status --porcelain") == before
    (first, second) = trees(repo)
    assert first == second
    listing = repo.git("-c", "core.quotePath=false", "ls-tree", "-r", first).splitlines()
    assert [f"{line.split()[0]} {line.partition(chr(9))[2]}" for line in listing] == [
        "100644 .gitignore",
        "100755 app.py",
        "120000 link",
        "100644 new/deep/file",
        "100644 spaced ünï.txt",
        "100644 staged.txt",
    ]
    assert repo.git("show", f"{first}:staged.txt") == "later"


def test_the_users_own_line_ends_and_filters_hold_for_the_users_files(repo: Repo) -> None:
    repo.sh("git config core.autocrlf true; printf 'a\\r\\nb\\r\\n' > crlf.txt")
    repo.sh("git config filter.up.clean 'tr a-z A-Z'; echo '*.up filter=up' > .gitattributes; echo word > x.up")
    assert repo.relay(*SHELL, "true").code == 0
    tree = trees(repo)[0]
    assert repo.git("cat-file", "blob", f"{tree}:crlf.txt") == "a\nb"
    assert repo.git("cat-file", "blob", f"{tree}:x.up") == "WORD"


STATES = {
    "unborn": "rm -rf .git; git init -q; git add app.py; echo x > y",
    "everything gone": "git rm -q app.py",
    "a folder emptied": "mkdir -p a/b/c; touch a/b/c/d; git add .; git commit -qm d; rm -r a",
    "one file of a folder": """
        mkdir -p a/b; touch a/b/1 a/b/2 a/z a.txt a-b; git add .; git commit -qm d; rm a/b/1; echo > a/b/3
    """,
    "file becomes folder": "rm app.py; mkdir -p app.py/x; echo 1 > app.py/x/y",
    "folder becomes file": "mkdir f; touch f/1; git add .; git commit -qm f; rm -r f; echo 1 > f",
    "folder becomes link": "mkdir f; touch f/1; git add .; git commit -qm f; rm -r f; ln -s app.py f",
    "folder becomes link to a folder": "mkdir f g; touch f/1 g/1; git add .; git commit -qm f; rm -r f; ln -s g f",
    "link becomes file": "ln -s app.py l; git add .; git commit -qm l; rm l; echo 1 > l",
    "staged and put back": "echo 2 > app.py; git add .; git show HEAD:app.py > app.py",
    "staged and gone": "echo 2 > b; git add b; rm b; echo 3 > app.py; git add app.py; rm app.py",
    "staged alone": "echo 2 > b; chmod +x b; git add b; git rm -q --cached app.py; rm app.py",
    "taken from the index alone": "git rm -q --cached app.py",
    "intent to add": "echo 1 > b; git add -N b; echo 1 > c; git add -N c; rm c",
    "names": r"""
        mkdir $'a\nb' 'ü é' ./-n; echo 1 > $'a\nb/c\nd'; echo 2 > $'ü é/\377'; echo 3 > ./-n/:x; echo 4 > $'\tq\\"'
    """,
    "names that were there": r"""
        mkdir -p $'t/a\nb/u' $'v\nw'; touch $'t/a\nb/u/1' $'t/a\nb/u/2' $'v\nw/1'; git add .; git commit -qm n
        rm $'t/a\nb/u/1'; echo 2 > $'v\nw/1'
    """,
    "in conflict": """
        git checkout -qb x; echo x > app.py; git commit -qam x; git checkout -q main; echo m > app.py
        git commit -qam m; ! git merge -q x >/dev/null; echo both > app.py
    """,
    "a mode that the file system does not keep": """
        chmod +x app.py; git add .; git commit -qm x; git config core.fileMode false; chmod -x app.py; echo 2 > app.py
    """,
    "line ends that are in the index": r"""
        printf 'a\r\n' > c; git add c; git commit -qm c; git config core.autocrlf true; printf 'b\r\n' >> c
    """,
    "attributes": """
        echo '*.c ident' > .gitattributes; mkdir d; echo '$Id: x$' > d/x.c; echo '* -text' > d/.gitattributes
    """,
    "another repository inside": "git init -q in; git -C in commit -q --allow-empty -m in",
    "sparse": """
        mkdir in out; touch in/1 out/1; git add .; git commit -qm s; git sparse-checkout set --cone in
        echo 2 > in/1; echo 3 > in/2
    """,
    "sparse and staged": """
        mkdir in out; touch in/1 out/1; git add .; git commit -qm s; git sparse-checkout set --cone in
        git update-index --cacheinfo 100644,$(git hash-object -w app.py),out/1
        git update-index --skip-worktree out/1
    """,
    "sha256": """
        rm -rf .git; git init -q --object-format=sha256; git add .; git commit -qm s; mkdir d; echo 2 > d/b
        echo 3 > app.py
    """,
    "many": "for i in {1..300}; do mkdir -p d$((i % 7))/e$((i % 11)); echo $i > d$((i % 7))/e$((i % 11))/$i; done",
}


@pytest.mark.parametrize("script", STATES.values(), ids=STATES)
def test_the_tree_is_the_one_that_git_add_would_make(repo: Repo, script: str) -> None:
    subprocess.run(["bash", "-ec", script], cwd=repo.path, env=dict(repo.env), check=True, timeout=60)
    (repo.path / ".git/relay").mkdir()
    expected = repo.sh("""
        cp .git/index ../index 2>/dev/null || true; export GIT_INDEX_FILE=../index
        git -c advice.addEmbeddedRepo=false add -A 2>/dev/null; git write-tree
    """).strip()
    found = snapshot.take(Repository.open(repo.path), "s")
    assert found is not None and found.tree == expected
    repo.git("fsck", "--strict", "--no-dangling", found.tree)


def test_diff_shows_what_the_call_changed_and_nothing_else(repo: Repo) -> None:
    repo.sh("echo mine > mine.txt; echo 'print(0)' > app.py")
    assert repo.relay(*SHELL, "echo 'print(3)' > app.py; echo new > 'a b.txt'; rm mine.txt").code == 0
    repo.sh("echo afterwards > app.py")
    shown = repo.relay("diff", "s/01")
    assert shown.code == 0
    assert "-print(0)\n+print(3)\n" in shown.out and "afterwards" not in shown.out
    files = repo.relay("diff", "s/01", "--json").json["data"]["files"]
    assert [(f["path"], f["state"], f["added"], f["deleted"]) for f in files] == [
        ("a b.txt", "A", 1, 0),
        ("app.py", "M", 1, 1),
        ("mine.txt", "D", 0, 1),
    ]
    assert "3 files changed" in repo.relay("diff", "s/01", "--stat").out
    assert repo.relay("diff", "s/01", "--", "a b.txt").out.count("diff --git") == 1


@pytest.mark.usefixtures("each_git")
def test_the_trees_survive_garbage_collection(repo: Repo) -> None:
    assert repo.relay(*SHELL, "echo 1 > a; git add a").code == 0
    assert repo.relay(*SHELL, "echo 2 > a").code == 0
    repo.sh("git reset -q --hard; git reflog expire --expire=now --all; git gc -q --prune=now")
    assert "-1\n+2\n" in repo.relay("diff", "s/02").out
    assert "+1\n" in repo.relay("diff", "s/01").out
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/relay") == "refs/relay/code/s"


def test_diff_of_what_is_not_there(repo: Repo) -> None:
    assert repo.relay(*SHELL, "-d", "sleep 60").code == 0
    early = repo.relay("diff", "s/01")
    assert early.code == 2 and "git relay wait s/01" in early.err
    assert repo.relay("cancel", "s/01").code == 0
    assert repo.relay(*SHELL, "echo secret-free > untracked").code == 0
    clone = Repo(repo.path.parent / "clone", repo.env)
    repo.sh(
        "git clone -q --no-local . ../clone; git -C ../clone fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*'"
    )
    missing = clone.relay("diff", "s/02")
    assert missing.code == 2 and missing.err.endswith("git relay fetch\n")
    assert clone.relay("fetch").code == 0
    assert "+secret-free" in clone.relay("diff", "s/02").out


@pytest.fixture
def called(repo: Repo) -> Repo:
    """A repository whose session s has one exchange: it edits a line, adds a binary file, deletes one."""
    repo.sh("seq 1 20 > lines; echo bye > gone; git add -A; git commit -qm lines; git branch elsewhere")
    task = "sed -i.bak 's/^10$/ten/' lines; rm lines.bak gone; printf 'a\\000b' > bin; mkdir d; echo x > d/new"
    assert repo.relay(*SHELL, task).code == 0
    return repo


@pytest.mark.usefixtures("each_git")
def test_apply_brings_the_changes_into_another_checkout(called: Repo) -> None:
    called.sh("git worktree add -q ../other elsewhere; cd ../other; sed -i.bak 's/^2$/two/' lines; rm lines.bak")
    other = Repo(called.path.parent / "other", called.env)
    index = other.sh("git ls-files -s")
    done = other.relay("apply", "s/01")
    assert done.code == 0, done.err
    assert sorted(done.out.splitlines()) == ["A bin", "A d/new", "D gone", "M lines"]
    assert other.sh("sed -n '2p;10p' lines") == "two\nten\n"
    assert (other.path / "bin").read_bytes() == b"a\0b" and not (other.path / "gone").exists()
    assert other.sh("git ls-files -s") == index
    again = other.relay("apply", "s/01")
    assert again.code == 0 and "here already" in again.err


def test_apply_refuses_a_conflict_and_changes_nothing(called: Repo) -> None:
    called.sh("git worktree add -q ../other elsewhere; cd ../other; sed -i.bak 's/^10$/zehn/' lines; rm lines.bak")
    other = Repo(called.path.parent / "other", called.env)
    before = other.sh("git status --porcelain; cat lines; cat gone")
    done = other.relay("apply", "s/01")
    assert done.code == 1 and "conflicts in lines" in done.err and "nothing was changed" in done.err
    assert other.sh("git status --porcelain; cat lines; cat gone") == before
    assert other.relay("apply", "s/01", "--json").json["errors"][0]["code"] == "conflict"


SHAPES = {
    "a folder becomes a file": "rm -r deep; echo file > deep",
    "a file becomes a folder": "rm app.py; mkdir -p app.py/x; echo q > app.py/x/q",
    "a folder becomes a link": "rm -r deep; ln -s app.py deep",
    "a link becomes a folder": "rm link; mkdir link; echo 1 > link/in",
    "a mode": "chmod +x app.py",
    "names": "mkdir 'ü é'; echo 1 > 'ü é/x'; rm deep/f; echo 2 > deep/-n",
    "everything goes": "rm -r app.py deep link",
}


@pytest.mark.parametrize("script", SHAPES.values(), ids=SHAPES)
def test_apply_onto_the_same_base_makes_the_same_tree(repo: Repo, script: str) -> None:
    repo.sh("mkdir deep; echo d > deep/f; echo e > deep/g; ln -s app.py link; git add .; git commit -qm b")
    assert repo.relay(*SHELL, script).code == 0
    after = trees(repo)[1]
    repo.sh("git reset -q --hard; git clean -qfdx -e .relay")
    done = repo.relay("apply", "s/01")
    assert done.code == 0, done.err
    found = snapshot.take(Repository.open(repo.path), "s")
    assert found is not None and found.tree == after


def test_apply_works_where_gitrelay_never_wrote(called: Repo) -> None:
    called.sh("git clone -q --mirror . ../m.git; git clone -q ../m.git ../c; git -C ../c checkout -q main")
    clone = Repo(called.path.parent / "c", called.env)
    clone.sh("git fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*' 'refs/relay/code/*:refs/relay/code/*'")
    assert clone.relay("apply", "s/01").code == 0
    assert clone.sh("sed -n 10p lines") == "ten\n"
    called.sh("git checkout -q .; git clean -qfd; rm -rf .git/relay")
    assert called.relay("apply", "s/01").code == 0


@pytest.mark.parametrize("cone", ["--cone", "--no-cone"])
def test_apply_in_a_sparse_checkout(repo: Repo, cone: str) -> None:
    repo.sh(
        "mkdir in out; seq 9 > in/1; seq 9 > out/1; seq 9 > out/2; git add .; git commit -qm s; git branch elsewhere"
    )
    assert repo.relay(*SHELL, "echo 10 >> in/1; echo 10 >> out/1; rm out/2; echo new > out/3").code == 0
    repo.sh(f"git worktree add -q ../other elsewhere; cd ../other; git sparse-checkout set {cone} in")
    other = Repo(repo.path.parent / "other", repo.env)
    assert not (other.path / "out").exists()
    done = other.relay("apply", "s/01")
    assert done.code == 0, done.err
    assert other.sh("tail -n 1 in/1 out/1 out/3") == "==> in/1 <==\n10\n\n==> out/1 <==\n10\n\n==> out/3 <==\nnew\n"


@pytest.mark.parametrize("here", ["an ignored file", "a link", "a folder of ignored files", "a file that is left out"])
def test_apply_does_not_write_over_what_no_record_holds(repo: Repo, here: str) -> None:
    repo.sh("echo ignored > .git/info/exclude; git branch elsewhere")
    assert repo.relay(*SHELL, "mkdir -p ignored2; echo 1 > ignored2/x; echo 1 > wanted").code == 0
    repo.sh("git worktree add -q ../other elsewhere")
    other = Repo(repo.path.parent / "other", repo.env)
    exclude = "$(git rev-parse --git-common-dir)/info/exclude"
    script = {
        "an ignored file": f"echo wanted >> {exclude}; echo mine > wanted",
        "a link": f"echo ignored2 >> {exclude}; mkdir ../far; ln -s ../far ignored2",
        "a folder of ignored files": "mkdir wanted; echo mine > wanted/ignored",
        "a file that is left out": "git config relay.snapshotMax 1k; seq 1000 > wanted",
    }[here]
    other.sh(script)
    before = other.sh(
        "find . ../far -not -path './.git*' | sort; cat wanted wanted/* 2>/dev/null || true; ls ../far", check=False
    )
    done = other.relay("apply", "s/01")
    assert done.code == 1 and "conflicts in " in done.err, done.err
    after = other.sh(
        "find . ../far -not -path './.git*' | sort; cat wanted wanted/* 2>/dev/null || true; ls ../far", check=False
    )
    assert after == before


def test_apply_brings_changes_into_a_submodule(repo: Repo) -> None:
    repo.sh("""
        git config --global protocol.file.allow always; git init -q ../lib; seq 9 > ../lib/a; git -C ../lib add .
        git -C ../lib commit -qm 1; git submodule -q add "$PWD/../lib" lib; git commit -qm lib; git branch elsewhere
    """)
    assert repo.relay(*SHELL, "echo 10 >> lib/a; echo new > lib/b; echo top > top").code == 0
    repo.sh("git -C lib checkout -q .; rm lib/b top; sed -i.bak 's/^2$/two/' lib/a; rm lib/a.bak")
    done = repo.relay("apply", "s/01")
    assert done.code == 0 and sorted(done.out.splitlines()) == ["A lib/b", "A top", "M lib/a"], done.err
    assert repo.sh("sed -n '2p;10p' lib/a; cat lib/b") == "two\n10\nnew\n"
    repo.sh("git -C lib checkout -q .; rm lib/b")
    assert repo.relay(*SHELL, "cd lib; echo 11 >> a; git commit -qam moved").code == 0
    repo.sh("git -C lib reset -q --hard HEAD~1")
    done = repo.relay("apply", "s/02")
    assert done.code == 0 and repo.sh("tail -n 1 lib/a") == "11\n", (done.out, done.err)
    repo.sh("git -C lib checkout -q .; echo other >> lib/a")
    conflict = repo.relay("apply", "s/02")
    assert conflict.code == 1 and "lib/a" in conflict.err
    elsewhere = Repo(repo.path.parent / "other", repo.env)
    repo.sh("git worktree add -q ../other elsewhere")
    part = elsewhere.relay("apply", "s/01")
    assert part.code == 0 and "not brought: lib" in part.err and part.out == "A top\n"
