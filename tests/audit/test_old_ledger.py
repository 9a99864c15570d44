"""A repository that version 0.1.0 wrote, before many trailers were there: it is read, checked and continued.

`ledger-0.1.bundle` has a session with checks that were run again, a failed one-shot with a key, a call that timed
out, an answer that a check contradicts under read access, an archived session, one that waits, and imported ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inspected import inspected
from support.places import TESTS
from support.repo import Repo

BUNDLE = TESTS / "audit/data/ledger-0.1.bundle"


@pytest.fixture
def old(tmp_path: Path, env: dict[str, str]) -> Repo:
    repo = Repo(tmp_path / "old", env)
    repo.path.mkdir()
    repo.sh(f"git init -q; git fetch -q --update-head-ok '{BUNDLE}' 'refs/*:refs/*'; git reset -q --hard")
    return repo


def test_an_old_ledger_is_sound_and_is_read(old: Repo) -> None:
    report = inspected(old)
    assert (report.findings, report.notes) == ((), ())
    assert (report.sessions, report.exchanges) == (9, 11)
    rows = {row["session"]: row for row in old.relay("ls", "--json").json["data"]}
    outcomes = {name: row["outcome"] for name, row in rows.items() if not name.startswith("2026")}
    assert outcomes == {
        "auth-refactor": "pass",
        "claims": "check-failed",
        "late": "error:timeout",
        "old": "pass",
        "waiting": "pending",
        "work": "check-failed",
    }
    assert "two > new.txt" in old.relay("show", "work/02").out
    assert "+two" in old.relay("diff", "work/02").out


def test_an_old_ledger_is_continued(old: Repo) -> None:
    done = old.relay("req", "--to", "shell", "--session", "work", "--check", "test -f third.txt", "echo 3 > third.txt")
    assert done.code == 0, done.err
    assert old.relay("check-again", "work/03").code == 0
    assert old.relay("res", "--session", "waiting", "--re", "01", "--from", "codex", "--to", "uma", "--status", "done",
                     "--verify", "skip", "--", "hello").code == 0  # fmt: skip
    key = old.relay("req", "--from", "uma", "--to", "shell", "--name", "shot", "--access", "full", "--key", "shot-1",
                    "--json", "exit 1")  # fmt: skip
    assert key.code == 1 and key.json["data"]["replayed"] is True, key.err
    report = inspected(old)
    assert report.findings == (), report
    assert report.exchanges == 12
