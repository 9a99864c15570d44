"""What a verb imports is what the user waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.repo import Repo

PAGES = {"jinja2", "markdown_it", "markupsafe", "pygments"}


def loaded_by(repo: Repo, *words: str, **env: str) -> tuple[set[str], str]:
    """The packages that `git relay *words` loads, and its output. -X importtime names every module on stderr; the
    supervisor inherits neither it nor the terminal."""
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "gitrelay", *words],
        cwd=repo.path,
        env=dict(repo.env) | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}, done.stdout


@pytest.mark.parametrize(
    "words", [("-h",), ("req", "--to", "shell", "--session", "s", "true"), ("ls",), ("export", "-h")]
)
def test_the_libraries_of_pages_are_loaded_by_none_but_pages(repo: Repo, words: tuple[str, ...]) -> None:
    loaded, _ = loaded_by(repo, *words)
    assert "click" in loaded
    assert not loaded & PAGES


@pytest.mark.parametrize("words", [("-h",), ("ls", "-h")])
def test_help_loads_neither_the_guesses_of_click_nor_archives(repo: Repo, words: tuple[str, ...]) -> None:
    """click looks for `-h` among the long options and loads difflib; for the width of a terminal it loads shutil."""
    loaded, wide = loaded_by(repo, *words, COLUMNS="9" * 5000)
    assert not loaded & ({"difflib", "shutil"} if words == ("-h",) else {"difflib"})
    narrow = loaded_by(repo, *words, COLUMNS="52")[1]
    assert max(map(len, narrow.splitlines())) <= 50 < max(map(len, wide.splitlines())) <= 98
    assert "--help" in narrow
