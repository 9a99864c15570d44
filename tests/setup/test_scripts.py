"""Every script in benchmarks/ says what it does if it is asked, and does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# one process for all of them: each imports most of the package
_EACH = """
import contextlib, io, json, pathlib, runpy, sys
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    said, code = io.StringIO(), None
    sys.argv, sys.path[0] = [str(path), "--help"], str(path.parent)
    with contextlib.redirect_stdout(said):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as e:
            code = e.code or 0
    found[path.name] = [code, said.getvalue()]
print(json.dumps(found))
"""


def test_help_of_every_script(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _EACH, str(ROOT / "benchmarks")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) > 20
    for name, (code, said) in found.items():
        assert code == 0 and len(said.strip()) > 40, (name, code, said)
    assert "benchmarks/make_example.py FOLDER" in found["make_example.py"][1]
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_no_script_has(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "benchmarks/make_example.py"), "--hlep"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "'--hlep'" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
