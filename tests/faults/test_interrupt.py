"""Ctrl-C at any moment: exit code 130, no traceback, nothing that goes on as if it had not been pressed.

The signal comes at a chosen call of a function (see inject/sitecustomize.py): at 5 moments of each verb, spread over
its whole run, and at 400 under GITRELAY_SOAK=1; and in the places where python wraps or swallows it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.ledgercheck import assert_all_valid
from support.places import INJECT
from support.repo import Done, Repo
from support.soak import rounds

MOMENTS = rounds(5, 400)
PARTS = rounds(1, 4)  # tests that share them
VERBS = {
    "ls": ("ls", "--json"),
    "req": ("req", "--json", "--to", "shell", "--name", "shot", "true"),
    "long": ("req", "--to", "shell", "--session", "long", "sleep 300"),
    "isolated": ("req", "--json", "--to", "shell", "--isolate", "--name", "shot", "true"),
}


def interrupted(repo: Repo, log: Path, verb: str, where: str) -> tuple[Done, dict[str, Any]]:
    """What came of it, and the log: the number of calls by name, and where the signal came; `:0` is never reached."""
    log.unlink(missing_ok=True)
    there = {"PYTHONPATH": str(INJECT), "PYTHONHASHSEED": "0", "FAULT_INTERRUPT": where, "FAULT_LOG": str(log)}
    done = repo.relay(*VERBS[verb], env=there)
    found: dict[str, Any] = json.loads(log.read_text())
    return done, found


def check(repo: Repo, log: Path, verb: str, where: str) -> None:
    done, found = interrupted(repo, log, verb, where)
    assert found["where"], f"{where} was not reached"
    place = f"{where} of {verb}, in {found['where']}:\n{done.out}{done.err}"
    assert done.code == 130, place
    assert "Traceback" not in done.err and "ignored" not in done.err, place
    said = [json.loads(line) for line in done.out.splitlines()]
    assert [e["code"] for one in said for e in one["errors"]] in ([], ["interrupted"]), place


@pytest.fixture
def quiet(repo: Repo, mark: dict[str, str]) -> Repo:
    """A repository; no process that the test started is left at its end."""
    return Repo(repo.path, {**repo.env, **mark})


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "long"])
@pytest.mark.parametrize("part", range(PARTS))
def test_ctrl_c_at_any_call_is_130(quiet: Repo, tmp_path: Path, verb: str, part: int) -> None:
    total = interrupted(quiet, tmp_path / "log", verb, ":0")[1]["counts"][""]
    for moment in range(part, MOMENTS, PARTS):
        check(quiet, tmp_path / "log", verb, f":{1 + moment * (total - 1) // MOMENTS}")
    assert_all_valid(quiet)


@pytest.mark.parametrize(("name", "verb"), [("__set_name__", "req"), ("cb", "ls")])
def test_what_python_wraps_or_swallows_is_130(quiet: Repo, tmp_path: Path, name: str, verb: str) -> None:
    """`__set_name__` of a class that is being made, and `cb` that the import system calls when a lock goes."""
    done, found = interrupted(quiet, tmp_path / "log", verb, ":0")
    assert done.code == 0, done.err
    count = found["counts"][name]
    for number in (1, count // 2, count):
        check(quiet, tmp_path / "log", verb, f"{name}:{number}")


@pytest.mark.parametrize("name", ["close", "note"])
def test_a_call_that_nobody_was_told_of_is_cancelled(quiet: Repo, tmp_path: Path, name: str) -> None:
    """The supervisor is let go of by `close`, and its address is printed after `note`."""
    done, found = interrupted(quiet, tmp_path / "log", "long", f"{name}:1")
    assert found["where"].endswith(("launch.py:close", "output.py:note"))
    assert done.code == 130, done.err
    reason = quiet.git("log", "-1", "--format=%(trailers:key=Relay-Reason,valueonly)", "relay/long")
    assert reason.strip() == "cancelled"
