"""What docs/gate.md and docs/ci say is run: a program as the reviewer, and the steps of each workflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gate import Gate, made
from support.places import ROOT
from support.repo import Repo


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


@pytest.fixture
def gate(repo: Repo, tmp_path: Path) -> Gate:
    """With the program of docs/gate.md as the reviewer."""
    found = made(repo, tmp_path)
    program = tmp_path / "no-todo.sh"
    page = (ROOT / "docs/gate.md").read_text()
    (script,) = re.findall(r"^```sh\n(#!/bin/sh\n.*?)^```", page, re.M | re.S)
    assert script.count("\n") <= 10
    program.write_text(script)
    program.chmod(0o755)
    assert 'git config relay.no-todo.read "/path/to/no-todo.sh"' in page
    found.repo.git("config", "relay.no-todo.read", str(program))
    found.repo.git("config", "relay.no-todo.verdict", "exit")
    assert found.repo.relay("hooks", "install", "pre-push", "--to", "no-todo").code == 0
    return found


def steps(file: str) -> str:
    """The shell of a workflow that looks the verdict up, without what installs gitrelay."""
    value: dict[str, Any] = yaml.safe_load((ROOT / "docs/ci" / file).read_text())
    if file == "gitlab.yml":
        lines = value["review"]["script"]
    else:
        runs = [step["run"] for step in value["jobs"]["review"]["steps"] if "run" in step]
        lines = [run for run in runs if "gitrelay-cli" not in run]
    assert lines
    return "\n".join(lines).replace('"$REVIEWER"', "no-todo")


@pytest.mark.parametrize("file", ["forgejo.yml", "github.yml", "gitlab.yml"])
def test_a_workflow_passes_what_is_reviewed_and_nothing_else(gate: Gate, tmp_path: Path, file: str) -> None:
    gate.repo.git("switch", "-q", "-c", "f")
    gate.commit("DO NOT PUSH")
    assert gate.push("-q", "origin", "f").code == 1
    gate.repo.sh("sed -i '$d' app.py; echo 'print(2)' >>app.py; git commit -q -a --amend -m good")
    assert gate.push("-q", "origin", "f").code == 0
    gate.repo.sh("git push -q origin 'refs/heads/relay/review-*:refs/heads/relay/review-*'")
    gate.repo.sh(f"git clone -q --single-branch --branch f {gate.origin} ../ci")
    ci = Repo(tmp_path / "ci", {**gate.repo.env, "CI": "true"})
    head = ci.git("rev-parse", "HEAD")
    ci.sh(f"BASE=main HEAD={head} CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main CI_COMMIT_SHA={head}\n{steps(file)}")
    ci.sh("echo 1 >>app.py; git commit -qam unseen")
    head = ci.git("rev-parse", "HEAD")
    variables = f"BASE=main HEAD={head} CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main CI_COMMIT_SHA={head}"
    assert "1" in ci.sh(f"({variables}; set -e\n{steps(file)}\n) >/dev/null 2>&1 || echo 1", check=False)
