"""`git relay check` never says passed of nothing, and its hints are commands that work."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitrelay.gate.verdict import STATES
from support.gate import Gate, made
from support.markdown import rows
from support.places import ROOT
from support.repo import Repo

CI = {"CI": "true"}


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


def said(gate: Gate, *words: str, **env: str) -> tuple[str, int, str]:
    """(state, exit code, hint) of `check`."""
    done = gate.repo.relay("check", *words, "--json", env=env)
    hint = done.json["errors"][0]["hint"] if done.json["errors"] else ""
    return done.json["data"]["state"], done.code, hint


# a state of docs/gate.md -> what leads to it, in a clone with a commit behind the reviewed main
LEADS_TO = {
    "passed": "git relay review",
    "bypassed": "git relay bypass --reason 'Ada has looked'",
    "failed": "echo BAD >>app.py; git commit -qam bad; git relay review || true",
    "missing": "true",
    "stale": "git relay review; echo 1 >>app.py; git commit -qam more",
    "running": "git config relay.fake.command 'sleep 60'; git relay review -d",
    "refused": "git relay review --to other",
    "could not evaluate": "git config relay.fake.command false; git relay review || true",
    "nothing new": "git reset -q --hard origin/main",
    "shallow": "git rev-parse HEAD >.git/shallow; git commit -q --allow-empty -m more",
    "not fetched": "git relay review; git push -q origin relay/review-main; git relay archive review-main\n"
    "git update-ref refs/relay/archive/review-main refs/relay/archive/review-main~2",
}


def documented() -> list[str]:
    text = (ROOT / "docs/gate.md").read_text()
    return [r[0] for r in rows(text[text.index("| state |") :].partition("\n\n")[0]) if r[0] != "state"]


@pytest.mark.parametrize("state", documented())
def test_each_row_of_the_table_of_states(gate: Gate, state: str) -> None:
    gate.reviewer("reviews-by-the-files", "other")
    gate.commit()
    gate.repo.sh(LEADS_TO[state])
    found, code, hint = said(gate)
    assert (found, code) == (state, STATES[state][0])
    assert bool(hint) == (state not in ("passed", "bypassed"))
    if state in ("nothing new", "shallow", "not fetched"):
        assert said(gate, **CI)[1] == 1
    if state == "running":
        assert gate.repo.relay("cancel", "review-main/01").code == 0


@pytest.mark.parametrize("words", [["main"], ["origin/main..HEAD"], ["--base", "origin/main"], []])
@pytest.mark.parametrize("configured", [True, False])
def test_the_hint_is_a_command_that_leads_to_a_pass(gate: Gate, words: list[str], configured: bool) -> None:
    gate.commit()
    if not configured:
        gate.repo.git("config", "--unset", "relay.gatePeer")
        words = [*words, "--to", "fake"]
    for _ in range(2):
        state, _, hint = said(gate, *words)
        assert state in ("missing", "stale") and hint.startswith("git relay review --to fake"), hint
        gate.repo.sh(hint)
        assert said(gate, *words)[:2] == ("passed", 0)
        gate.commit()


def test_a_shallow_clone_and_verdicts_that_are_not_there_are_brought_by_the_hint(gate: Gate, tmp_path: Path) -> None:
    for _ in range(3):
        gate.commit()
    assert gate.push("-q", "origin", "main").code == 0
    gate.repo.git("switch", "-q", "-c", "f")
    for _ in range(3):
        gate.commit()
    assert gate.repo.relay("review").code == 0
    gate.repo.sh("git push -q origin f 'refs/heads/relay/review-*:refs/heads/relay/review-*'")
    gate.repo.sh(f"git clone -q --depth 2 --branch f 'file://{gate.origin}' ../ci")
    gate.repo.sh("cd ../ci; git fetch -q --depth 1 origin +main:refs/remotes/origin/main")
    clone = Gate(Repo(tmp_path / "ci", gate.repo.env), gate.origin)
    words = ("origin/main..HEAD", "--to", "fake")
    state, code, hint = said(clone, *words)
    assert (state, code) == ("shallow", 4) and said(clone, *words, **CI)[1] == 1
    clone.repo.sh(hint)
    state, code, hint = said(clone, *words)
    assert (state, code) == ("not fetched", 4) and said(clone, *words, **CI)[1] == 1
    clone.repo.sh(hint)
    assert said(clone, *words, **CI)[:2] == ("passed", 0)
    # older ones than the remote has
    gate.commit()
    assert gate.repo.relay("review").code == 0
    gate.repo.sh("git push -q origin f 'refs/heads/relay/review-*:refs/heads/relay/review-*'")
    clone.repo.sh("git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'; git fetch -q")
    clone.repo.sh("git reset -q --hard origin/f")
    assert said(clone, *words)[0] == "not fetched"


def test_a_push_from_a_shallow_clone_without_its_base_is_stopped(repo: Repo, tmp_path: Path) -> None:
    gate = made(repo, tmp_path)
    gate.repo.git("switch", "-q", "-c", "f")
    gate.commit()
    gate.repo.sh("git rev-parse HEAD >.git/shallow; git commit -q --allow-empty -m more")
    done = gate.push("-q", "origin", "f")
    assert done.code == 1 and "shallow: the history of this clone is cut off" in done.err
    assert "git fetch --unshallow origin" in done.err and gate.there("refs/heads/f") == ""
    done = gate.repo.relay("review")
    assert done.code == 2 and "git fetch --unshallow origin" in done.err


def test_looking_writes_nothing(gate: Gate) -> None:
    """With a call that has died and is not recorded yet: `judge` knows it, and leaves it to the door."""
    from gitrelay.gate import record, scope
    from gitrelay.gate.settings import settings
    from gitrelay.ledger.ledger import open_ledger

    gate.commit()
    assert gate.repo.relay("review").code == 0
    before = gate.repo.sh("find .git .relay -type f -newer app.py | sort; git for-each-ref")
    ledger = open_ledger(gate.repo.path)
    change, _ = scope.of_words(ledger, None, None, settings(ledger.repo))
    assert record.judge(record.Reviews(ledger), change, "fake").state == "passed"
    assert record.judge(record.Reviews(ledger), change, "other").state == "refused"
    assert gate.repo.sh("find .git .relay -type f -newer app.py | sort; git for-each-ref") == before
