"""No word of a table is lost where a row has more cells than the head."""

from __future__ import annotations

import re

import pytest

from gitrelay.report.markdown import render

HEAD = "| op | meaning |\n|---|---|\n"


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| `a || b` | LAST |", ["<code>a || b</code>", "LAST"]),
        ("| a | b | c | LAST |", ["a", "b | c | LAST"]),
        ("a | b | LAST", ["a", "b | LAST"]),
        ("| `` x | `y` `` | LAST |", ["<code>x | `y`</code>", "LAST"]),
        ("| c \\| d | LAST |", ["c | d", "LAST"]),
        ("| only |", ["only", ""]),
        ("| `a | b | LAST |", ["`a", "b | LAST"]),
    ],
)
def test_a_row_keeps_all_its_words(row: str, cells: list[str]) -> None:
    html = str(render(HEAD + row + "\n\nend\n"))
    assert re.findall(r"<td[^>]*>(.*?)</td>", html) == cells


def test_bars_elsewhere_stay_as_they_are() -> None:
    fence = "```\n| a | b |\n|---|---|\n| 1 | 2 | 3 |\n```\n"
    assert "| 1 | 2 | 3 |" in str(render(fence))
    assert "1 | 2 | 3" in str(render("1 | 2 | 3\n"))
    quoted = str(render("> " + HEAD.replace("\n|", "\n> |") + "> | 1 | 2 | 3 |\n"))
    assert re.findall(r"<td[^>]*>(.*?)</td>", quoted) == ["1", "2 | 3"]
