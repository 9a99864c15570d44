"""The version of a program, out of whatever it prints for `--version`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitrelay.peers.probe import version_in
from support.repo import Repo


@pytest.mark.parametrize(
    ("name", "printed", "version"),
    [
        ("codex", "codex-cli 0.169.0\n", "0.169.0"),
        ("claude", "2.1.329 (Claude Code)", "2.1.329"),
        ("copilot", "GitHub Copilot CLI 1.0.102.\nRun 'copilot update' to check for updates.", "1.0.102"),
        ("gemini", "0.61.0", "0.61.0"),
        ("opencode", "v1.18.33\r\n", "1.18.33"),
        ("codex", "\x1b[1mcodex-cli 0.169.0\x1b[0m", "0.169.0"),
        ("codex", "codex-cli 0.170.0-alpha.3", "0.170.0"),
        ("codex", "codex version 1.0.0-nightly", "1.0.0"),
        ("claude", "Claude Code v2.1.0", "2.1.0"),
        ("codex", "WARNING: proceeding, even though we could not update PATH 0.1.2\ncodex-cli 0.169.0", "0.169.0"),
        ("codex", "A new version 0.200.0 is available! (current 0.100.0)\ncodex-cli 0.169.0", "0.169.0"),
        ("codex", "codex-cli 0.169.0\nUpdate available: 0.100.0 -> 0.200.0", "0.169.0"),
        ("codex", "node 20.11\nv18.0.1\ncodex-cli 0.169.0", "0.169.0"),
        ("codex", "update 0.12 available", ""),
        ("codex", "codex 0.200.0 is available, run npm install", ""),
        ("codex", "codex-cli 0.0.0", ""),
        ("codex", "codex-cli 0.0.0-dev+abc", ""),
        ("codex", "built from source", ""),
        ("codex", "", ""),
    ],
)
def test_it_is_read_from_the_programs_own_line(name: str, printed: str, version: str) -> None:
    assert version_in(printed, name) == version


def codex(repo: Repo, folder: Path, printed: str) -> dict[str, str]:
    """A program `codex` that says `printed` for its version and fails at all else; the environment to call it in."""
    script = folder / "bin" / "codex"
    script.parent.mkdir(exist_ok=True)
    said = f'case " $* " in *" --version "*) echo \'{printed}\'; exit;; esac'
    script.write_text(f"#!/bin/sh\n{said}\necho x >> {folder}/calls\nexit 9\n")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{repo.env['PATH']}"}


def test_the_trial_of_a_peer_ends_with_a_version_that_is_too_old(repo: Repo, tmp_path: Path) -> None:
    env = codex(repo, tmp_path, "codex-cli 0.129.0")
    done = repo.relay("peers", "test", "codex", "--json", env=env)
    (row,) = done.json["data"]["cases"]
    assert done.code == 1 and (row["case"], row["outcome"]) == ("version", "fail")
    assert "codex 0.129.0 is too old" in row["detail"]
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("printed", ["codex-cli 0.0.0", "update 0.12 available"])
def test_what_cannot_be_told_is_not_too_old(repo: Repo, tmp_path: Path, printed: str) -> None:
    env = codex(repo, tmp_path, printed)
    (row,) = [row for row in repo.relay("peers", "--json", env=env).json["data"] if row["peer"] == "codex"]
    assert row["version"] is None and row["supported"] is True
