"""The table of docs/remote.md, who can and cannot do what: each row names tests, and these exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/remote.md"


def rows() -> dict[str, list[str]]:
    """Who -> the tests that the row names."""
    text = PAGE.read_text().partition("## Who is trusted with what\n")[2].partition("\n## ")[0]
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    return {cells[0].removeprefix("| "): re.findall(r"`(test_\w+)`", cells[2]) for cells in table if len(cells) == 3}


def test_each_row_names_tests_that_exist() -> None:
    found = rows()
    assert {"the remote", "who can push", "a worker", "who asks"} <= {*found}
    written = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))
    known = {*re.findall(r"^def (test_\w+)\(", written, re.MULTILINE)}
    assert all(found.values()), "a row without a test"
    assert not {name for names in found.values() for name in names} - known


def test_each_cannot_has_a_test() -> None:
    """What cannot be done is told apart by semicolons, and each part ends with its tests."""
    text = PAGE.read_text()
    for who in rows():
        line = next(line for line in text.splitlines() if line.startswith(f"| {who} | "))
        parts = line.removesuffix(" |").split(" | ")[2].split("; ")
        assert [part for part in parts if "`test_" not in part] == [], who
