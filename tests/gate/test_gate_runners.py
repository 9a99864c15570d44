"""The gate in other hook runners: the real pre-commit and lefthook, and a hook of one's own as husky has it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from support import realcli
from support.gate import made
from support.places import ROOT
from support.repo import Repo


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw"), "PRE_COMMIT_HOME": str(tmp_path / "cache")}


def test_pre_commit_runs_the_gate_before_a_push(repo: Repo, tmp_path: Path) -> None:
    assert importlib.metadata.version("pre-commit")
    gate = made(repo, tmp_path)
    assert gate.repo.relay("hooks", "remove").code == 0
    source = tmp_path / "gitrelay"
    source.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", source)
    gate.repo.sh("cd ../gitrelay; git init -q; git add .; git commit -qm hooks")
    rev = gate.repo.git("-C", str(source), "rev-parse", "HEAD")
    gate.repo.sh(
        f"printf 'repos:\\n- repo: {source}\\n  rev: {rev}\\n  hooks: [{{id: relay-review}}]\\n' >config\n"
        "mv config .pre-commit-config.yaml\n"
        "git add .; git commit -qm hooks; git push -q origin main; pre-commit install --hook-type pre-push",
        timeout=120,
    )
    start = gate.there()
    gate.commit("BAD")
    done = gate.push()
    assert done.code == 1 and gate.there() == start
    said = done.out + done.err
    assert "review before the push" in said and "- [blocker] app.py:2 BAD is not a word" in said, said
    assert gate.repo.subjects("review-main")[-1].endswith("verify fail")
    gate.repo.sh("sed -i '$d' app.py; echo 'print(3)' >>app.py; git commit -qam mended")
    done = gate.push()
    assert done.code == 0 and gate.there() == gate.repo.git("rev-parse", "HEAD"), done.err
    assert gate.state("HEAD~2..HEAD") == "passed"
    gate.repo.git("switch", "-q", "-c", "feat/new")
    gate.commit()
    done = gate.push("-q", "origin", "feat/new")
    assert done.code == 0 and "feat/new" in done.out + done.err
    assert gate.repo.subjects("review-feat-new")[-1].endswith("verify pass")
    done = gate.push("-q", "origin", ":feat/new")
    assert done.code == 0


def test_a_hook_of_ones_own_needs_only_the_documented_line(repo: Repo, tmp_path: Path) -> None:
    """As husky has it: a hook in a folder that git tracks."""
    gate = made(repo, tmp_path)
    assert gate.repo.relay("hooks", "remove").code == 0
    line = 'git relay pre-push "$@"'
    assert f"```sh\n{line}\n```" in (ROOT / "docs/gate.md").read_text()
    gate.repo.sh(
        "mkdir .husky; git config core.hooksPath .husky\n"
        f"printf '%s\\n' '#!/bin/sh' '{line}' >.husky/pre-push; chmod +x .husky/pre-push\n"
        "git add .husky; git commit -qm husky"
    )
    gate.commit("BAD")
    done = gate.push()
    assert done.code == 1 and "failed: fake says fail" in done.err
    gate.repo.sh("sed -i '$d' app.py; git commit -qa --amend -m good --allow-empty")
    assert gate.push().code == 0


@pytest.mark.realcli
def test_lefthook_runs_the_gate_as_documented(repo: Repo, tmp_path: Path) -> None:
    program = realcli.require("lefthook")
    gate = made(repo, tmp_path)
    assert gate.repo.relay("hooks", "remove").code == 0
    (settings,) = re.findall(r"^```yaml\n(pre-push:\n.*?)^```", (ROOT / "docs/gate.md").read_text(), re.M | re.S)
    (gate.repo.path / "lefthook.yml").write_text(settings)
    path = f"{program.parent}:{os.environ['PATH']}"  # for node too
    gate.repo.sh(
        "git add .; git commit -qm lefthook; git push -q origin main\n"
        f"PATH={shlex.quote(path)} lefthook install && grep -q lefthook .git/hooks/pre-push"
    )
    start = gate.there()
    gate.commit("BAD")
    env = {"PATH": f"{gate.repo.env['PATH']}:{path}"}
    done = gate.push("origin", "main", env=env)
    assert done.code == 1 and gate.there() == start
    assert "- [blocker] app.py:2 BAD is not a word" in done.out + done.err
    gate.repo.sh("sed -i '$d' app.py; echo 'print(3)' >>app.py; git commit -qam mended")
    assert gate.push("origin", "main", env=env).code == 0 and gate.there() == gate.repo.git("rev-parse", "HEAD")
    assert gate.repo.subjects("review-main")[-1].endswith("verify pass")
