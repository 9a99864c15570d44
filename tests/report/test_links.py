"""Paths in an answer lead to the diff of the same turn: only those of files that are in it."""

from __future__ import annotations

import re

from gitrelay.report.changes import Changes, File
from gitrelay.report.hunks import Row
from gitrelay.report.links import LINKS_MAX, Links
from gitrelay.report.markdown import render

PATHS = ("src/a.py", "src/my_file__x.py", "README", "a b.txt", "<b>.py", "twice[U+000A].py", "twice[U+000A].py")


def links() -> Links:
    rows = (Row("hunk", "f", 11, 12), Row("same", "x", 11, 12), Row("add", "y", 0, 13), Row("del", "z", 12, 0))
    return Links(Changes(tuple(File(path, "M", 1, 1, rows) for path in PATHS)), "t-01")


def led(text: str) -> list[tuple[str, str]]:
    """(what is linked, where it leads) within the page."""
    found = re.findall(r'<a class="place" href="([^"]*)">(.*?)</a>', render(text, links()))
    return [(re.sub("</?code>", "", words), href) for href, words in found]


def test_a_path_leads_to_its_file_and_to_a_line_that_is_shown() -> None:
    for text, href in (
        ("`src/a.py`", "#t-01-f1"),
        ("src/a.py", "#t-01-f1"),
        ("`./src/a.py:12`", "#t-01-f1-12"),
        ("`src/a.py:13-40`", "#t-01-f1-13"),
        ("src/a.py:13:5", "#t-01-f1-13"),
        ("`src/a.py#L12`", "#t-01-f1-12"),
        ("`src/a.py:11`", "#t-01-f1"),
        ("`src/a.py:99999`", "#t-01-f1"),
        ("src/my_file__x.py", "#t-01-f2"),
        ("`README`", "#t-01-f3"),
        ("`a b.txt`", "#t-01-f4"),
        ("`<b>.py`", "#t-01-f5"),
    ):
        words = re.sub("^`|`$", "", text).replace("<b>", "&lt;b&gt;")
        assert led(text) == [(words, href)], text
    assert led("Look at *src/a.py*, (src/a.py:12). Done?") == [("src/a.py", "#t-01-f1"), ("src/a.py:12", "#t-01-f1-12")]
    assert led("| a | b |\n|---|---|\n| `src/a.py` | 2 |\n\n- src/a.py") == [("src/a.py", "#t-01-f1")] * 2
    one = links()
    render("`src/a.py:12` src/a.py:13 `src/a.py:1`", one)
    assert one.named == {1: {12, 13}}


def test_nothing_else_leads_anywhere() -> None:
    for text in (
        "`src/b.py` a.py b/src/a.py src/a.pyc /src/a.py src/a.py/x ../src/a.py",
        "README is a word here",
        "[see src/a.py and `src/a.py`](http://e.invalid/)",
        "http://e.invalid/src/a.py",
        "```\nsrc/a.py\n```",
        "`twice[U+000A].py`",
        "`src/a.py:12x` `src/a.py:` `:12` `#L12`",
    ):
        assert led(text) == [], text
    assert "place" not in render("`src/a.py`", Links(None, "t-01"))
    assert len(led("src/a.py " * (LINKS_MAX + 50))) == LINKS_MAX
