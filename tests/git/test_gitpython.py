"""The part of GitPython that is loaded, and what happens if its parts lie elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from support.places import ROOT
from support.repo import Repo

LOADED = "from gitrelay.git import run; run.version(); import sys; "


def python(repo: Repo, code: str, *places: Path) -> str:
    """What python prints; `places` come first where it looks for modules."""
    path = os.pathsep.join(str(place) for place in (*places, ROOT))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=repo.path,
        env={**repo.env, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_starts_git_is_loaded_and_no_more(repo: Repo) -> None:
    loaded = python(repo, LOADED + "print(*sorted(m for m in sys.modules if m.partition('.')[0] in ('git', 'gitdb')))")
    assert "git.cmd" in loaded.split()
    assert not {"git", "git.repo", "git.index", "gitdb", "gitdb.db"} & set(loaded.split())


def test_who_imports_gitpython_later_gets_all_of_it(repo: Repo) -> None:
    assert python(repo, LOADED + "import git; print(git.Repo('.').head.is_detached)") == "False\n"


def test_a_gitpython_with_its_parts_elsewhere(repo: Repo, tmp_path: Path) -> None:
    """`git.cmd` is what it was and `git.exc` needs what `git/__init__` has set, as a next release may have it."""
    installed = Path(str(distribution("GitPython").locate_file("git")))
    changed = shutil.copytree(installed, tmp_path / "other" / "git", ignore=shutil.ignore_patterns("__pycache__"))
    first = changed / "__init__.py"
    first.write_text(
        re.sub(r"^__version__ = .*$", r"\g<0>\nSET = True", first.read_text(), count=1, flags=re.MULTILINE)
    )
    (changed / "exc.py").write_text((changed / "exc.py").read_text() + "\nfrom git import SET\n")
    loaded = python(repo, LOADED + "print(sys.modules['git'].__file__)", changed.parent)
    assert loaded == f"{first}\n"
    done = repo.relay("req", "--to", "shell", "--session", "s", "echo fine", env={"PYTHONPATH": str(changed.parent)})
    assert done.code == 0 and "\nfine\n" in done.out, done.err
