"""A push from any place, and what it would publish besides the branch: the review is asked for or that is said."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.gate import Gate
from support.repo import GIT_RELAY, Repo

WITHOUT_GIT_RELAY = "/usr/bin:/bin"


@pytest.fixture
def env(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


def bad(gate: Gate, cwd: Path, git: str = "git") -> None:
    """A commit that the reviewer fails."""
    gate.repo.sh(f"cd {shlex.quote(str(cwd))}; echo BAD >>app.py; {git} add app.py; {git} commit -qm bad")


@pytest.mark.parametrize("path", ["usual", "without git-relay"])
def test_a_client_without_the_program_on_its_path(gate: Gate, path: str) -> None:
    gate.repo.git("config", "relay.gateUnevaluated", "block")
    env = {"PATH": WITHOUT_GIT_RELAY} if path != "usual" else {}
    bad(gate, gate.repo.path)
    start = gate.there()
    assert gate.push(env=env).code == 1 and gate.there() == start
    assert gate.state() == "failed"
    hook = gate.repo.path / ".git/hooks/pre-push"
    hook.write_text(re.sub(r"^program='.*'$", "program='/nowhere/git-relay'", hook.read_text(), flags=re.MULTILINE))
    gate.commit()
    done = gate.push(env={"PATH": WITHOUT_GIT_RELAY})
    assert done.code == 1 and "the push is stopped" in done.err and gate.there() == start


@pytest.mark.parametrize("words", ["variables", "options"])
def test_a_repository_apart_from_its_files(gate: Gate, tmp_path: Path, words: str) -> None:
    """As for dotfiles: the git folder lies elsewhere, and the files lie in another repository's working tree."""
    files = gate.repo.path / "inner"
    files.mkdir()
    dots, there = tmp_path / "dots", tmp_path / "dots-there.git"
    git = f"git --git-dir={dots} --work-tree={files}"
    if words == "variables":
        git = f"env GIT_DIR={dots} GIT_WORK_TREE={files} git"
    reviewer = shlex.quote(gate.repo.git("config", "relay.fake.command"))
    gate.repo.sh(f"git init -q --bare {dots}; git init -q --bare {there}; git -C {dots} remote add origin {there}")
    gate.repo.sh(f"cd {dots}; git config relay.fake.command {reviewer}")
    gate.repo.sh(f"cd {dots}; {shlex.join(GIT_RELAY)} hooks install pre-push --to fake")
    bad(gate, files, git)
    said = gate.repo.sh(f"cd inner; {git} push -q origin HEAD:main 2>&1 || echo exit $?")
    assert said.rstrip().endswith("exit 1") and "review-main/01" in said, said
    assert gate.repo.sh("git -C ../dots-there.git for-each-ref") == ""
    assert gate.repo.git("for-each-ref", "refs/heads/relay") == "", "it is recorded where it is pushed from"
    assert "res 01 fake" in gate.repo.sh("git -C ../dots log -1 --format=%s relay/review-main")


def test_a_submodule_is_a_repository_of_its_own(gate: Gate, tmp_path: Path) -> None:
    repo = gate.repo
    repo.sh(
        "git init -q --bare ../sub.git; git init -q ../seed; cd ../seed; echo 1 >app.py; git add .; git commit -qm s"
    )
    repo.sh("git -C ../seed push -q ../sub.git main")
    repo.sh("git -c protocol.file.allow=always submodule add -q ../sub.git sub && git commit -qm sub")
    sub = repo.path / "sub"
    repo.sh(f"cd sub; git config relay.fake.command {shlex.quote(repo.git('config', 'relay.fake.command'))}")
    done = Repo(sub, repo.env).relay("hooks", "install", "pre-push", "--to", "fake")
    assert done.code == 0, done.err
    bad(gate, sub)
    done = gate.push("-q", "origin", "HEAD", cwd=sub)
    assert done.code == 1 and "review-main/01" in done.err, done.err
    assert repo.git("for-each-ref", "refs/heads/relay") == ""
    assert "res 01 fake" in repo.sh("git -C sub log -1 --format=%s relay/review-main")


def test_one_folder_of_hooks_for_all_repositories(repo: Repo, tmp_path: Path) -> None:
    """It is silent where nobody asked for a gate, and the installer says that it is in all of them."""
    repo.sh("mkdir ../hooks; git config --global core.hooksPath ../hooks; git init -q --bare ../there.git")
    repo.sh(f"git config --global core.hooksPath {tmp_path}/hooks")
    repo.git("config", "relay.fake.command", "false")
    done = repo.relay("hooks", "install", "pre-push", "--to", "fake")
    assert done.code == 0 and "every repository" in done.out + done.err, done.out + done.err
    repo.sh("git init -q ../other; cd ../other; echo 1 >a; git add a; git commit -qm first")
    for env in ({}, {"PATH": WITHOUT_GIT_RELAY}):
        said = Repo(tmp_path / "other", {**repo.env, **env}).sh("git push -q ../there.git HEAD:main 2>&1")
        assert said == ""
    assert repo.sh("git -C ../other for-each-ref refs/heads/relay refs/relay") == ""


@pytest.mark.parametrize("words", [("--all", "origin"), ("--mirror", "origin"), ("origin", "relay/s")])
def test_sessions_that_a_push_would_publish_are_named_once(gate: Gate, words: tuple[str, ...]) -> None:
    repo = gate.repo
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    repo.git("config", "relay.pushSessions", "block")
    done = gate.push("-q", *words)
    assert done.code == 1 and "relay/s" in done.err and "relay.pushSessions is block" in done.err, done.err
    assert gate.there("refs/heads/relay/s") == "" and gate.there("refs/relay/code/s") == ""
    repo.git("config", "--unset", "relay.pushSessions")
    done = gate.push("-q", *words)
    assert done.code == 0 and "WARNING: this push publishes the sessions relay/s" in done.err, done.err
    assert gate.there("refs/heads/relay/s") == repo.git("rev-parse", "relay/s")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0
    done = gate.push("-q", *words)
    assert done.code == 0 and "publishes" not in done.err, done.err


@pytest.mark.parametrize("attributes", ["*.py -diff", "*.py binary", "*.py diff=none"])
def test_attributes_of_the_change_hide_nothing_from_the_reviewer(gate: Gate, attributes: str) -> None:
    """The reviewer looks for the bad line in the patch too."""
    gate.repo.git("config", "diff.none.textconv", "true")
    gate.repo.git("config", "diff.none.command", "true")
    gate.repo.sh(f"echo '{attributes}' >.gitattributes; echo BAD >>app.py; git add .; git commit -qm x")
    assert gate.push().code == 1
    assert gate.state() == "failed"


def test_a_file_that_a_diff_does_not_show_is_named(gate: Gate) -> None:
    gate.repo.sh("printf 'x\\0y' >'blob of data'; git add .; git commit -qm data")
    assert gate.push().code == 0
    assert "a diff shows nothing (binary)" in gate.asked and "blob of data" in gate.asked


@pytest.mark.parametrize("choice", ["warn", "block"])
def test_the_installer_asks_what_happens_without_a_review(repo: Repo, tmp_path: Path, choice: str) -> None:
    repo.sh("git init -q --bare ../there.git; git remote add origin ../there.git; git push -q origin main")
    repo.git("config", "relay.fake.command", "false")
    done = repo.relay("hooks", "install", "pre-push", "--to", "fake", "--unevaluated", choice)
    assert done.code == 0, done.err
    assert repo.git("config", "relay.gateUnevaluated") == choice
    repo.sh("echo 2 >>app.py; git commit -qam two")
    said = repo.sh("git push -q origin main 2>&1 || echo exit $?")
    assert said.rstrip().endswith("exit 1") == (choice == "block"), said
    assert "fake" in said
    done = repo.relay("hooks", "install", "pre-push", "--to", "fake", "--unevaluated", "maybe")
    assert done.code == 2 and "maybe" in done.err
