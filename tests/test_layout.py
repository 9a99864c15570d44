"""The tests themselves: a folder for each package, something fast in each, and no test module that imports another."""

from __future__ import annotations

import ast
import subprocess
import sys

from support.places import ROOT, TESTS


def test_each_package_has_a_folder_with_a_fast_test() -> None:
    packages = {p.parent.name for p in (ROOT / "gitrelay").glob("*/__init__.py")}
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "fast", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {line.split("/")[1] for line in done.stdout.splitlines() if line.startswith("tests/")}
    assert packages <= found, f"no fast test: {packages - found}"


def test_no_test_module_imports_another() -> None:
    modules = {path.stem for path in TESTS.rglob("*.py") if path.parent.name not in ("support", "fuzz")}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not modules & set(names), f"{path}: {names}"
