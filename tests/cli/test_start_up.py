"""What a verb imports is what the user waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.repo import Repo

PAGES = {"jinja2", "markdown_it", "markupsafe", "pygments"}


@pytest.mark.parametrize(
    "words", [("-h",), ("req", "--to", "shell", "--session", "s", "true"), ("ls",), ("export", "-h")]
)
def test_the_libraries_of_pages_are_loaded_by_none_but_pages(repo: Repo, words: tuple[str, ...]) -> None:
    """-X importtime names every module on stderr; the supervisor inherits neither it nor the terminal."""
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "gitrelay", *words],
        cwd=repo.path,
        env=dict(repo.env),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & PAGES
