"""The tests themselves: a folder for each package, something fast in each, and no test module that imports another."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from support.places import ROOT, TESTS
from support.waiting import patient


def test_each_package_has_a_folder_with_a_fast_test() -> None:
    packages = {p.parent.name for p in (ROOT / "gitrelay").glob("*/__init__.py")}
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "fast", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=patient(100))
    assert done.returncode == 0, done.stdout + done.stderr
    found = {line.split("/")[1] for line in done.stdout.splitlines() if line.startswith("tests/")}
    assert packages <= found, f"no test marked fast: {packages - found}"


def test_a_busy_machine_is_given_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITRELAY_TEST_PATIENCE", "3")
    assert patient(20) == 60
    monkeypatch.delenv("GITRELAY_TEST_PATIENCE")
    assert 20 <= patient(20) <= 400


def test_no_test_module_imports_another() -> None:
    modules = {path.stem for path in TESTS.rglob("*.py") if path.parent.name not in ("support", "fuzz")}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not modules & set(names), f"{path}: {names}"
