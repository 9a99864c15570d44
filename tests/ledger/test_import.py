"""Sessions of the original file protocol become branches, byte for byte, each whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.ledgercheck import assert_sound
from support.places import CONFORMANCE
from support.repo import Repo

ONE_SHOTS = ("20261121-0612-auth-review", "20261121-0612-odd-body")


@pytest.fixture
def old(repo: Repo) -> Path:
    """A folder as the original generator left it."""
    folder = repo.path / "old"
    shutil.copytree(CONFORMANCE, folder, ignore=shutil.ignore_patterns("bodies", "README.md"))
    return folder


def test_what_the_original_wrote_is_taken_as_it_is(repo: Repo, old: Path) -> None:
    done = repo.relay("import", "old")
    assert done.code == 0, done.err
    assert sorted(done.out.split()[::2]) == sorted(["auth-refactor", *ONE_SHOTS])
    for session, names in (
        ("auth-refactor", ("01.req.md", "01.res.md", "02.req.md", "02.res.md")),
        *((one, (f"{one}.req.md", f"{one}.res.md")) for one in ONE_SHOTS),
    ):
        assert [subject.split()[0] for subject in repo.subjects(session)] == ["open", *(n.split(".")[1] for n in names)]
        for name in names:
            original = (old / session / name) if session == "auth-refactor" else old / name
            assert repo.relay("show", session, "--raw").raw.count(original.read_bytes()) >= 1
    assert_sound(repo)
    again = repo.relay("import", "old")
    assert again.code == 1 and again.out == "" and again.err.count("already") == 3
    assert repo.relay("req", "--to", "shell", "--session", "auth-refactor", "true").code == 0
    assert repo.subjects("auth-refactor")[-1].startswith("res 03 ")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("rm 01.res.md", "never answered"),
        ("rm 01.req.md 01.res.md", "without a gap"),
        ("rm 02.req.md", "has no request"),
        ("sed -i 's/^re: 02/re: 01/' 02.res.md", "does not answer"),
        ("sed -i 's/verify: pass/verify: maybe/' 02.res.md", "'maybe'"),
        ("cp 01.req.md 03.req.md", "id is '01'"),
        ("mv 02.res.md x; ln -s x 02.res.md", "a symbolic link"),
        ("cp 01.req.md notes.req.md", "'notes'"),
        ("printf 'a\\377' > 01.req.md", "not UTF-8"),
    ],
)
def test_a_broken_session_is_listed_and_left_out_whole(repo: Repo, old: Path, damage: str, fault: str) -> None:
    repo.sh(f"cd old/auth-refactor; {damage}")
    done = repo.relay("import", "old")
    assert done.code == 1
    assert sorted(done.out.split()[::2]) == sorted(ONE_SHOTS)
    assert "auth-refactor: not imported" in done.err and fault in done.err
    assert "auth-refactor" not in repo.git("for-each-ref")


@pytest.mark.fast
def test_an_unanswered_last_turn_waits_for_its_answer(repo: Repo, old: Path) -> None:
    repo.sh("rm old/auth-refactor/02.res.md")
    assert repo.relay("import", "old").code == 0
    assert repo.relay("wait", "auth-refactor/02", "--timeout", "50ms").code == 8
    answer = ("res", "--session", "auth-refactor", "--re", "02", "--from", "codex", "--to", "claude")
    assert repo.relay(*answer, "--status", "done", "--verify", "pass", "late").code == 0
    assert repo.subjects("auth-refactor")[-1] == "res 02 codex -> claude: done, verify pass"
