"""The release check: it passes on this commit, and names each thing that does not fit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks here, with the wheel that is made of it in `dist/`."""
    place = tmp_path_factory.mktemp("release") / "checkout"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().split("\0")[:-1]:
        if not name.startswith("tests/") and (ROOT / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    words = [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    subprocess.run(words, cwd=place, check=True, timeout=150)
    return place


def check(checkout: Path) -> tuple[int, str]:
    (wheel,) = (checkout / "dist").glob("*.whl")
    words = [sys.executable, str(checkout / ".ci/release_check.py"), str(wheel)]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_this_commit_fits_together(checkout: Path) -> None:
    code, out = check(checkout)
    assert (code, out.splitlines()[-1].endswith("can be released")) == (0, True), out


@pytest.mark.parametrize(
    ("file", "before", "after", "named"),
    [
        (".claude-plugin/plugin.json", '"version": "', '"version": "9', ".claude-plugin/plugin.json says 9"),
        ("skills/claude/relay/SKILL.md", 'gitrelay: "', 'gitrelay: "9', "skills/claude/relay/SKILL.md says 9"),
        ("docs/git-relay.1", '"gitrelay ', '"gitrelay 9', "docs/git-relay.1 says 9"),
        ("CHANGELOG.md", "## [", "## [9.9.9]\n\n## [", "CHANGELOG.md (its newest version) says 9.9.9"),
        ("hooks/pre-push", "#!", "# another\n#!", "gitrelay/hooks/pre-push in the wheel is not hooks's"),
        ("pyproject.toml", 'name = "gitrelay-cli"', 'name = "gitrelay"', "the wheel is gitrelay_cli-"),
    ],
)
def test_what_does_not_fit_is_named(checkout: Path, file: str, before: str, after: str, named: str) -> None:
    path = checkout / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    try:
        code, out = check(checkout)
    finally:
        path.write_text(text)
    assert code == 1 and any(line.startswith(named) for line in out.splitlines()), out


def test_a_tag_of_another_version_is_named(checkout: Path) -> None:
    author = ("-c", "user.name=Uma", "-c", "user.email=uma@example.invalid")
    for words in (("init", "-q"), ("add", "-A"), (*author, "commit", "-qm", "all"), ("tag", "v0.0.1")):
        subprocess.run(["git", *words], cwd=checkout, check=True, timeout=60)
    try:
        code, out = check(checkout)
    finally:
        shutil.rmtree(checkout / ".git")
    assert code == 1 and "tag v0.0.1 is not v" in out
