"""hooks/: a session is not rewritten or deleted, here or by a push, and gitrelay itself goes on working."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.ledgercheck import assert_sound, assert_valid
from support.places import ROOT
from support.repo import BIN, Repo, copy_of

HOOKS = ROOT / "hooks"
WITHOUT_GIT_RELAY = "/usr/bin:/bin"


def fails(repo: Repo, script: str, path: str | None = None) -> str:
    """stderr of shell lines that must not succeed."""
    env = {**repo.env, **({} if path is None else {"PATH": path})}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=repo.path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


def refs(repo: Repo) -> str:
    return repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/relay", "refs/relay/archive")


# -- reference-transaction ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def template(one_turn: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = copy_of(one_turn, tmp_path_factory.mktemp("kept") / "repo", one_turn.env)
    for session in ("w", "old"):
        assert made.relay("req", "--to", "shell", "--session", session, "true").code == 0
    made.sh(f'cp {HOOKS}/reference-transaction "$(git rev-parse --git-path hooks)/"')
    assert made.relay("close", "s").code == 0
    assert made.relay("archive", "old").code == 0, "gitrelay's own git runs no hook"
    return made


@pytest.fixture
def kept(template: Repo, tmp_path: Path, env: dict[str, str]) -> Repo:
    """A repository with the hook: `s` closed, `w` with its worktree, `old` archived."""
    return copy_of(template, tmp_path / "repo", env)


REWRITING = [
    "git branch -D relay/s",
    "git pack-refs --all; git branch -D relay/s",
    "git pack-refs --all --no-prune; git branch -D relay/s",
    "git pack-refs --all --no-prune; git update-ref -d refs/heads/relay/s",
    "git pack-refs --all; git push -q . :refs/heads/relay/s",
    "git pack-refs --all; git update-ref -d refs/relay/archive/old",
    "git branch -m relay/s relay/t",
    "git branch -f relay/s HEAD",
    "git branch -f relay/s relay/s~1",
    "git update-ref -d refs/heads/relay/s",
    "git update-ref refs/heads/relay/s relay/w",
    "git update-ref -d refs/relay/archive/old",
    "git update-ref refs/relay/archive/old relay/s",
    "git fetch -q . +HEAD:refs/heads/relay/s",
    "git push -q . +HEAD:refs/heads/relay/s",
    "git push -q . :refs/heads/relay/s",
    "cd .relay/w; git reset -q --hard HEAD~1",
    "cd .relay/w; git commit -q --amend -m changed",
    "printf 'create refs/heads/new %s\\ndelete refs/heads/relay/s\\n' $(git rev-parse HEAD) | git update-ref --stdin",
]


@pytest.mark.parametrize("script", REWRITING)
def test_rewriting_and_deleting_is_refused(kept: Repo, script: str) -> None:
    before = refs(kept)
    assert "refused by the hook reference-transaction" in fails(kept, script)
    assert refs(kept) == before
    assert_valid(kept, "s")


def test_everything_else_goes_on(kept: Repo) -> None:
    kept.sh(
        "git commit -q --amend -m again; git branch other; git branch -D other; git branch -f other HEAD; git tag t\n"
        "git branch -m other relayed; git pack-refs --all --prune; git gc -q; git tag -d t\n"
        "git branch relay/more relay/s; git fetch -q . relay/s:relay/more"
    )
    packed = (kept.path / ".git/packed-refs").read_text()
    assert "refs/heads/relay/s\n" in packed and not (kept.path / ".git/refs/heads/relay/s").exists()
    assert kept.git("for-each-ref", "refs/heads/relayed", "refs/heads/relay/more").count("\n") == 1
    assert_sound(kept)


@pytest.mark.usefixtures("each_git")
def test_gitrelay_moves_its_own_branches_as_before(kept: Repo) -> None:
    assert kept.relay("archive", "--restore", "old").code == 0
    assert kept.relay("req", "--to", "shell", "--name", "shot", "true").code == 0
    # a peer that rewrites the session is undone
    rewrite = "git -c core.hooksPath=/dev/null update-ref refs/heads/relay/s relay/s~1"
    assert kept.relay("req", "--to", "shell", "--session", "s", rewrite).code == 0
    assert kept.subjects("s")[-1].startswith("res 02 ")
    assert kept.git("for-each-ref", "refs/relay/aside/s") != ""
    # and one that tries to past the hook is refused
    assert kept.relay("req", "--to", "shell", "--session", "s", "git update-ref -d refs/heads/relay/s").code == 1
    # a session that was opened and could not be written to is taken back
    kept.sh("mkdir -p .relay/new; echo mine >.relay/new/notes.txt")
    assert kept.relay("req", "--to", "shell", "--session", "new", "true").code == 2
    assert "relay/new" not in refs(kept)
    for session in ("old", "s", "w"):
        assert_valid(kept, session)


# -- update -------------------------------------------------------------------------------------------


@pytest.fixture
def clones(repo: Repo, tmp_path: Path) -> tuple[Repo, Repo, Repo]:
    """Two clones of a bare repository with the hook, and that repository; `s` has been pushed by the first."""
    repo.sh("git init -q --bare ../server.git; git push -q ../server.git HEAD:refs/heads/main")
    shutil.copy(HOOKS / "update", tmp_path / "server.git/hooks/update")
    for name in ("a", "b"):
        repo.sh(f'git clone -q "file://$(cd ../server.git; pwd)" ../{name}')
    a, b, server = (Repo(tmp_path / name, repo.env) for name in ("a", "b", "server.git"))
    assert a.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    a.sh("git push -q origin relay/s")
    b.sh("git fetch -q origin relay/s:relay/s")
    return a, b, server


@pytest.mark.usefixtures("each_git")
def test_turns_from_two_clones_are_taken(clones: tuple[Repo, Repo, Repo]) -> None:
    a, b, server = clones
    assert b.relay("req", "--to", "shell", "--session", "s", "exit 1").code == 1
    assert b.relay("req", "--to", "codex", "--session", "waiting", "--no-invoke", "hello").code == 0
    b.sh("git push -q origin relay/s relay/waiting")
    assert a.relay("close", "s").code == 0
    a.sh("git fetch -q origin relay/s:relay/s")
    assert a.relay("req", "--to", "shell", "--session", "s", "--check", "true", "true").code == 0
    assert a.relay("archive", "s").code == 0
    a.sh("git push -q origin refs/relay/archive/s:refs/heads/relay/s")
    for clone in (a, server):
        done = clone.relay("fsck")
        assert done.code == 0, done.out
    assert b.relay("fsck", "--witness", "origin").code == 1, "b is behind"


@pytest.mark.parametrize("path", [None, WITHOUT_GIT_RELAY])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("git push origin :relay/s", "a session is not deleted"),
        ("git push origin +relay/s~1:relay/s", "would rewrite"),
        ("git push origin +HEAD:relay/s", "would rewrite"),
    ],
)
def test_rewriting_and_deleting_by_a_push_is_refused(
    clones: tuple[Repo, Repo, Repo], script: str, words: str, path: str | None
) -> None:
    _, b, server = clones
    before = refs(server)
    said = fails(b, script, path)
    assert words in said and "[remote rejected]" in said
    assert refs(server) == before


BY_HAND = "git update-ref refs/heads/relay/s $(git commit-tree -p relay/s -m 'by hand' relay/s^{tree})"


def test_a_push_that_breaks_the_rules_is_refused(clones: tuple[Repo, Repo, Repo]) -> None:
    _, b, server = clones
    before = refs(server)
    b.sh(BY_HAND)
    said = fails(b, "git push origin relay/s")
    assert "one-file" in said and "breaks the rules of a session" in said
    assert "is not a slug" in fails(b, "git push origin relay/s~1:refs/heads/relay/No_Slug")
    assert refs(server) == before
    b.sh("git push -q origin +HEAD~0:refs/heads/main HEAD:refs/heads/other; git push -q origin :other")


def test_branches_of_others_below_relay_are_left_alone(clones: tuple[Repo, Repo, Repo]) -> None:
    """Known by their root commit: pushed, rewritten and deleted as any, not listed, and no finding."""
    a, b, server = clones
    b.sh(f'cp {HOOKS}/reference-transaction "$(git rev-parse --git-path hooks)/"')
    b.sh("git switch -q -c relay/upgrade-v14; echo x >>app.py; git commit -qam upgrade; git push -q origin HEAD")
    b.sh(
        "git commit -q --amend -m better; git push -q -f origin HEAD; git push -q origin HEAD:refs/heads/relay/No_Slug"
    )
    assert server.git("log", "-1", "--format=%s", "relay/upgrade-v14") == "better"
    for clone in (b, server):
        assert [row["session"] for row in clone.relay("ls", "--json").json["data"]] == ["s"]
        assert clone.relay("fsck").code == 0
    b.sh("git push -q origin :relay/upgrade-v14 :relay/No_Slug; git switch -q main; git branch -q -D relay/upgrade-v14")
    # a session that was replaced by such a branch is no branch of somebody else's
    a.sh("git update-ref refs/heads/relay/s main")
    assert a.relay("fsck").code == 1


def test_verdicts_from_two_clones_are_taken_and_one_that_was_turned_is_refused(clones: tuple[Repo, Repo, Repo]) -> None:
    a, b, server = clones
    program = "said=$(sed -n 's/^  \\(re\\|from\\|to\\): \\([a-z0-9-]*\\)$/\\1: \\2/p'); "
    program += 'printf -- "---\\nrelay: 4\\n%s\\nstatus: done\\nverify: fail\\n---\\n\\nNo.\\n" "$said"'
    (a.path.parent / "reviewer.sh").write_text(program)
    for clone in (a, b):
        clone.git("config", "relay.cat.command", f"sh {a.path.parent / 'reviewer.sh'}")
        clone.sh("git switch -q -c topic; echo x >>app.py; git commit -qam topic")
    assert a.relay("review", "--to", "cat").code == 1
    a.sh("git push -q origin relay/review-topic")
    b.sh("git fetch -q origin relay/review-topic:relay/review-topic")
    assert b.relay("review", "--to", "cat", "--again").code == 1
    b.sh("git push -q origin relay/review-topic")
    assert a.relay("close", "review-topic").code == 0
    a.sh("git fetch -q origin relay/review-topic:relay/review-topic")
    assert a.relay("review", "--to", "cat", "--again").code == 1
    tip = a.git("rev-parse", "relay/review-topic")
    for turn, said in (
        ("s/^Relay-Review-Tree: ./Relay-Review-Tree: 0/", "is not that of the request"),
        ("s/^Relay-Verify: fail/Relay-Verify: pass/", "the message says fail"),
        ("s/^Relay-Recorded: .*/&\\nRelay-Bypass: because/", "not on the answer of a person"),
    ):
        a.sh(f"git cat-file commit {tip} | sed '{turn}' >../c")
        a.sh("git update-ref refs/heads/relay/review-topic $(git hash-object -t commit -w ../c)")
        assert said in fails(a, "git push origin relay/review-topic")
    a.sh(f"git update-ref refs/heads/relay/review-topic {tip}; git push -q origin relay/review-topic")
    assert server.relay("fsck").code == 0


def test_without_git_relay_there_is_a_warning_and_the_plain_checks(clones: tuple[Repo, Repo, Repo]) -> None:
    _, b, server = clones
    b.sh(BY_HAND)
    done = subprocess.run(
        ["git", "push", "origin", "relay/s"],
        cwd=b.path,
        env={**b.env, "PATH": WITHOUT_GIT_RELAY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "git-relay is not installed here" in done.stderr
    assert server.relay("fsck").code == 1


def test_what_was_broken_before_is_not_held_against_a_push(clones: tuple[Repo, Repo, Repo]) -> None:
    _, b, server = clones
    b.sh(BY_HAND)
    b.sh(f"PATH={WITHOUT_GIT_RELAY} git push -q origin relay/s")
    assert b.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    b.sh("git push -q origin relay/s")
    assert server.git("log", "-1", "--format=%s", "relay/s").startswith("res 02 ")


def test_a_program_that_does_not_work_refuses(clones: tuple[Repo, Repo, Repo], tmp_path: Path) -> None:
    _, b, _ = clones
    broken = tmp_path / "broken" / "git-relay"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 70\n")
    broken.chmod(0o755)
    assert b.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    assert "breaks the rules" in fails(b, "git push origin relay/s", f"{broken.parent}:{WITHOUT_GIT_RELAY}")


def test_the_test_of_a_missing_program_misses_it() -> None:
    assert (BIN / "git-relay").exists()
    assert shutil.which("git-relay", path=WITHOUT_GIT_RELAY) is None


@pytest.mark.parametrize("hook", ["reference-transaction", "update"])
def test_the_hooks_are_plain_sh_that_can_be_run(hook: str) -> None:
    path = HOOKS / hook
    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(path)], check=True, timeout=10)
