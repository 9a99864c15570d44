"""Forgeries of a record, each of which `git relay fsck` names: the table of docs/evidence.md, row by row."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gitrelay.audit.findings import NOTES, RULES
from support.forging import FORGERIES, SHELL
from support.inspected import inspected
from support.places import ROOT
from support.repo import Repo, with_one_commit


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    folder = tmp_path_factory.mktemp("forged")
    repo = with_one_commit(folder)
    assert repo.relay("req", "--to", "shell", "--session", "s", "echo one").code == 0
    assert repo.relay("req", "--to", "shell", "--session", "s", "--check", "true", "echo two > new.txt").code == 0
    assert repo.relay("close", "s").code == 0
    return repo


@pytest.fixture
def repo(template: Repo, tmp_path: Path) -> Repo:
    """A copy of the template."""
    shutil.copytree(template.path, tmp_path / "repo", symlinks=True)
    return Repo(tmp_path / "repo", template.env)


@pytest.mark.parametrize(("what", "code", "script"), FORGERIES, ids=[what for what, _, _ in FORGERIES])
def test_each_forgery_is_found(repo: Repo, what: str, code: str, script: str) -> None:
    repo.sh(SHELL + script)
    report = inspected(repo)
    assert code in {found.code for found in report.findings}, report
    for found in (*report.findings, *report.notes):
        assert found.message and "\n" not in found.message and "{" not in found.hint


def test_the_template_is_sound(repo: Repo) -> None:
    report = inspected(repo)
    assert (report.findings, report.notes) == ((), ())


def test_the_table_in_the_docs_is_this_one() -> None:
    text = (ROOT / "docs/evidence.md").read_text()
    rows = re.findall(r"^\| (an?(?:other)? [^|]*) \| ([a-z-]+) \|$", text, re.M)
    assert rows == [(what, code) for what, code, _ in FORGERIES]
    notes = re.findall(r"^\| note:([a-z-]+) \| ([^|]*) \|$", text, re.M)
    assert notes == [(code, words) for code, (words, _) in NOTES.items()]
    assert not NOTES.keys() & RULES.keys()


LATER = (
    "Relay-By: Ann <ann@example.invalid>",
    "Relay-In: other\\/01",
    "Relay-Shared: a\\/01 20260101-0101-b",
    "Relay-Denied: 2",
)
HONEST = [
    ("the clock was set back by a minute", "date_it $(($(git log -1 --format=%ct $b) - 60))", {"clock"}),
    ("a machine slept during the call", "redo 's/^Relay-Duration: .*/Relay-Duration: 0.1/'", set()),
    ("a newer version wrote a trailer", "tip $res; say 'Relay-Weather: fine'", {"unknown-trailer"}),
    ("trailers that came later", "tip $res; say '" + "\\n".join(LATER) + "'", set()),
    ("somebody's own branch below relay/", "git update-ref refs/heads/relay/mine HEAD", {"not-a-session"}),
    ("somebody's own branch with capital letters", "git update-ref refs/heads/relay/Mine HEAD", {"not-a-session"}),
    ("trees of the caller's files put aside with an answer", "git update-ref refs/relay/aside/s/1 $b; tip $req", set()),
]  # fmt: skip


@pytest.mark.parametrize(("what", "script", "notes"), HONEST, ids=[what for what, _, _ in HONEST])
def test_what_is_honest_is_no_finding(repo: Repo, what: str, script: str, notes: set[str]) -> None:
    repo.sh(SHELL + script)
    report = inspected(repo)
    assert report.findings == (), report
    assert {note.code for note in report.notes} == notes


def test_a_clone_lacks_code_refs_and_reflogs_and_is_sound(repo: Repo, tmp_path: Path) -> None:
    repo.sh(
        "git clone -q --bare . ../clone.git; git clone -q . ../work; cd ../work;"
        "git fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*'"
    )
    for name in ("clone.git", "work"):
        report = inspected(Repo(tmp_path / name, repo.env))
        assert (report.findings, report.notes) == ((), ())


def test_a_session_continued_in_a_clone_is_sound_on_both_sides(repo: Repo, tmp_path: Path) -> None:
    """There the code ref begins with what was recorded there; here it lacks that."""
    repo.sh("git clone -q . ../other; cd ../other; git fetch -q origin 'refs/heads/relay/*:refs/heads/relay/*'")
    other = Repo(tmp_path / "other", repo.env)
    assert other.relay("req", "--to", "shell", "--session", "s", "echo three > third.txt").code == 0
    assert inspected(other).findings == ()
    repo.sh("git fetch -q ../other relay/s:relay/s")
    assert inspected(repo).findings == ()
    assert repo.relay("req", "--to", "shell", "--session", "s", "echo four > fourth.txt").code == 0
    assert inspected(repo).findings == ()


def test_a_code_ref_of_which_a_clone_has_the_end_only_is_sound(repo: Repo, tmp_path: Path) -> None:
    repo.sh(
        "git clone -q --bare . ../clone.git; cd ../clone.git;"
        "git fetch -q --depth=1 \"file://$PWD/../repo\" 'refs/relay/code/*:refs/relay/code/*'"
    )
    assert inspected(Repo(tmp_path / "clone.git", repo.env)).findings == ()
