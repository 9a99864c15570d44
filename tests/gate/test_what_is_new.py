"""The gate is bound to what is new: every commit of a push, from what the remotes have."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gate import Gate


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


def asked(gate: Gate, session: str = "review-f") -> int:
    """How many reviews of the branch f are recorded."""
    found = gate.repo.git("for-each-ref", f"refs/heads/relay/{session}")
    return sum(s.startswith("req ") for s in gate.repo.subjects(session)) if found else 0


@pytest.fixture
def branch(gate: Gate) -> Gate:
    """On the branch f, with one commit that has passed and is not pushed."""
    gate.repo.git("switch", "-q", "-c", "f")
    gate.commit("print(2)", "good")
    assert gate.repo.relay("review").code == 0
    return gate


UNSEEN = {
    "a commit and its revert": "echo x >evil; git add .; git commit -qm evil; git revert --no-edit HEAD",
    "a commit and its opposite": "echo x >evil; git add .; git commit -qm evil; git rm -q evil; git commit -qm tidy",
    "a merge of ours": "git switch -qc e main; echo x >evil; git add .; git commit -qm evil; git switch -q f\n"
    "git merge -q -s ours -m merge e",
    "a merge of a merge": "git switch -qc e main; echo x >evil; git add .; git commit -qm evil; git switch -qc d main\n"
    "git merge -q -s ours --no-ff -m inner e; git switch -q f; git merge -q -s ours -m outer d",
    "a second parent": "git switch -qc e main; echo x >evil; git add .; git commit -qm evil; git rm -q evil\n"
    "git commit -qm gone; git switch -q f; git commit -q --amend -C HEAD\n"
    "git reset -q --hard $(git commit-tree -p f~1 -p e -m good f^{tree})",
    "a root of its own": "git switch -q --orphan e; echo x >evil; git add evil; git commit -qm evil; git switch -q f\n"
    "git merge -q -s ours --allow-unrelated-histories -m merge e",
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_commits_that_nobody_saw_are_reviewed_though_the_files_are_the_same(branch: Gate, kind: str) -> None:
    tree = branch.repo.git("rev-parse", "f^{tree}")
    branch.repo.sh(UNSEEN[kind])
    assert branch.repo.git("rev-parse", "f^{tree}") == tree
    assert branch.state() == "stale"
    done = branch.push("-q", "origin", "f")
    assert done.code == 0 and asked(branch) == 2, done.err
    assert "evil" in branch.asked and "git log --reverse --patch" in branch.asked
    assert branch.state() == "passed"
    assert branch.repo.relay("fsck").code == 0


SEEN = {
    "an amended message": "git commit -q --amend -m 'other words'",
    "a commit without changes": "git commit -q --allow-empty -m nothing",
    "a rebase onto a base with the same files": "git switch -q main; git commit -q --allow-empty -m release\n"
    "git push -q --no-verify origin main; git switch -q f; git rebase -q main",
    "all in one commit": "git reset -q --soft main; git commit -qm squashed",
}


@pytest.mark.parametrize("kind", SEEN)
def test_commits_whose_files_were_all_seen_are_not_reviewed_again(branch: Gate, kind: str) -> None:
    branch.repo.sh(SEEN[kind])
    done = branch.push("-q", "origin", "f")
    assert done.code == 0 and asked(branch) == 1, done.err


def test_a_rebase_that_changes_files_is_reviewed(branch: Gate) -> None:
    branch.repo.sh(
        "git switch -q main; echo x >other; git add .; git commit -qm other; git push -q --no-verify origin main\n"
        "git switch -q f; git rebase -q main"
    )
    assert branch.push("-q", "origin", "f").code == 0 and asked(branch) == 2
    assert "other" not in branch.asked.partition("Files,")[2], "what is on the default branch is nobody's change"


def test_more_commits_than_one_trailer_names(gate: Gate) -> None:
    gate.repo.sh("git switch -q -c f; for i in $(seq 60); do echo $i >>app.py; git commit -qam c$i; done")
    assert gate.repo.relay("review").code == 0 and gate.state() == "passed"
    assert gate.repo.git("log", "--format=%(trailers:key=Relay-Review-Trees-3,valueonly)", "relay/review-f").strip()
    assert gate.repo.relay("fsck").code == 0
    head = gate.repo.git("rev-parse", "HEAD")
    gate.repo.sh("GIT_COMMITTER_NAME=Other git rebase -q --force-rebase main")
    assert gate.repo.git("rev-parse", "HEAD") != head
    assert gate.state() == "passed", "other commits, all files seen"


# -- from where ---------------------------------------------------------------------------------------

FORGED = {
    "another branch of the remote": "git update-ref refs/remotes/origin/x HEAD",
    "its default branch": "git update-ref refs/remotes/origin/main HEAD",
    "its HEAD": "git update-ref refs/remotes/origin/x HEAD\n"
    "git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/x",
    "another remote": "git update-ref refs/remotes/upstream/main HEAD",
    "a remote that is empty": "git init -q --bare ../empty.git; git remote add upstream ../empty.git\n"
    "git update-ref refs/remotes/upstream/main HEAD",
    "behind a reviewed commit": "git update-ref refs/remotes/origin/main HEAD; echo y >>app.py; git commit -qam y",
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_tracking_ref_that_the_remote_does_not_have_is_no_base(gate: Gate, kind: str) -> None:
    start = gate.repo.git("rev-parse", "main")
    gate.repo.git("switch", "-q", "-c", "f")
    gate.commit("BAD")
    gate.repo.sh(FORGED[kind])
    done = gate.push("-q", "origin", "f")
    assert done.code == 1 and gate.there("refs/heads/f") == "", done.err
    assert f"base: {start}" in gate.asked


def test_a_remote_that_cannot_be_asked_is_named_and_taken_as_fetched(gate: Gate) -> None:
    gate.repo.sh("git remote add gone ../nowhere.git; git update-ref refs/remotes/gone/main main; git switch -q -c f")
    gate.commit()
    done = gate.push("-q", "origin", "f")
    assert done.code == 0 and "WARNING: remote 'gone' could not be asked" in done.err
    assert gate.notes() == [], "that is nothing to rest on later"


def test_what_went_out_without_a_review_is_asked_about_until_it_is_covered(gate: Gate) -> None:
    start = gate.repo.git("rev-parse", "main")
    for name in ("f", "main"):
        gate.repo.git("switch", "-q", *(["-c"] if name == "f" else []), name)
        gate.reviewer("not-logged-in")
        gate.commit(f"{name} = 1", "unseen")
        assert gate.push("-q", "origin", name).code == 0
        gate.commit(f"{name} = 2", "later")
        assert gate.state() == "stale"
        gate.reviewer("reviews-by-the-files")
        assert gate.push("-q", "origin", name).code == 0
        assert f"base: {start}" in gate.asked and "2 commits" in gate.asked, name
        assert gate.state() in ("passed", "nothing new")
        gate.commit(f"{name} = 3", "last")
        assert gate.push("-q", "origin", name).code == 0
        assert "1 commit," in gate.asked, "what has passed is not read again"


def test_what_was_pushed_past_the_hook_is_asked_about(gate: Gate) -> None:
    gate.repo.git("switch", "-q", "-c", "f")
    gate.commit("BAD")
    assert gate.push("-q", "--no-verify", "origin", "f").code == 0
    gate.commit("print(1)")
    assert gate.push("-q", "origin", "f").code == 1 and "2 commits" in gate.asked
    assert gate.repo.relay("bypass", "--reason", "an old sin").code == 0
    assert gate.push("-q", "origin", "f").code == 0
    gate.repo.sh("sed -i '/BAD/d' app.py; git commit -qam clean")
    assert gate.push("-q", "origin", "f").code == 0 and "1 commit," in gate.asked


def test_merged_work_of_others_is_nobodys_change(gate: Gate) -> None:
    gate.repo.sh("git init -q --bare ../up.git; git remote add upstream ../up.git; git switch -q main")
    for _ in range(3):
        gate.commit("BAD", "of others")
    gate.repo.sh(
        "git push -q --no-verify upstream main; git fetch -q upstream; git reset -q --hard HEAD~3\n"
        "git switch -q -c f upstream/main; sed -i /BAD/d app.py; echo mine >mine; git add .; git commit -qm mine"
    )
    assert gate.push("-q", "origin", "f").code == 0 and "1 commit," in gate.asked
    gate.repo.sh("git push -q --no-verify upstream f:develop; git fetch -q upstream")
    gate.commit("print(9)")
    gate.repo.git("config", "relay.gateBase", "develop")
    gate.repo.git("update-ref", "-d", "refs/heads/relay/review-f")
    assert gate.push("-q", "origin", "f").code == 0 and "1 commit," in gate.asked, "develop counts like main"
