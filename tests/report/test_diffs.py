"""Diffs as pages show them: numbers, folds, marks of changed words, colours. All of it bounded and escaped."""

from __future__ import annotations

import random

from gitrelay.report import colours, edits, hunks
from gitrelay.report.changes import Changes, File
from gitrelay.report.diffs import drawn
from gitrelay.report.hunks import Row


def patch(*lines: str) -> list[Row]:
    return list(hunks.rows("\n".join(["diff --git a/x b/x", "--- a/x", "+++ b/x", *lines, ""]).encode()))


def shown(rows: list[Row], path: str = "x.txt") -> str:
    return drawn(Changes((File(path, "M", 1, 1, tuple(rows)),)), "t-01", {1: {13}})[0]


def test_lines_are_numbered_as_in_both_files() -> None:
    rows = patch(
        "@@ -10,2 +12,3 @@ def f", " a", "-b", "+c", "+d", "\\ No newline", "@@ -1 +1 @@", "-x\r", "+x\ry", "@@ odd"
    )
    assert [(row.kind, row.old, row.new) for row in rows] == [
        ("hunk", 10, 12),
        ("same", 10, 12),
        ("del", 11, 0),
        ("add", 0, 13),
        ("add", 0, 14),
        ("note", 0, 0),
        ("hunk", 1, 1),
        ("del", 1, 0),
        ("add", 0, 1),
        ("hunk", 0, 0),
    ]
    assert [row.text for row in rows if row.kind in ("del", "add")][-2:] == ["x", "x[U+000D]y"]
    page = shown(rows)
    assert "<div class=hunk><span>11 lines not shown</span> def f</div>" in page
    assert "<div class=same data-o=10 data-n=12> a</div>" in page
    assert '<div class=add data-n=13 id="t-01-f1-13">+c</div>' in page and page.count("id=") == 1


def test_far_context_is_folded_as_long_as_there_is_room() -> None:
    same = [f" {n}" for n in range(1, 31)]
    rows = patch("@@ -1,62 +1,62 @@", *same, "-x", "+y", *same, "-x", "+y", *same)
    found, room = hunks.folded(rows, 1000)
    assert [row.text for row in found] == [row.text for row in rows], "everything is there"
    assert room == 1000 - 27 - 24 - 27
    page = shown(found)
    assert page.count("<details class=fold><summary>27 unchanged lines</summary>") == 2
    assert page.count("24 unchanged lines") == 1 and "not shown" not in page
    found, room = hunks.folded(rows, 27)
    assert room == 0 and [row.new for row in found if row.kind == "hunk"] == [1, 59]
    assert "<span>24 lines not shown</span>" in shown(found) and found[-1].new == 65
    few = patch("@@ -1,9 +1,9 @@", *same[:4], "-x", "+y", *same[:4])
    assert not any(row.kind == "more" for row in hunks.folded(few, 99)[0]), "one line is not folded"


def test_changed_words_are_marked() -> None:
    def marked(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
        both = edits.marks(old, new)
        return tuple(  # type: ignore[return-value]
            ["|".join(line[a:b] for a, b in spans) for line, spans in zip(lines, found, strict=True)]
            for lines, found in zip((old, new), both, strict=True)
        )

    assert marked(["if star_args:"], ["if star_args_x:"]) == (["star_args"], ["star_args_x"])
    assert marked(["a = f(x, y)"], ["a = f(x, long name, y)"]) == ([""], ["long name, "])
    assert marked(["call(alpha beta gamma)"], ["call(one two three, beta)"])[0] == ["alpha| gamma"]
    assert marked(["import os"], ["return 5"]) == ([""], [""]), "nothing in common, nothing is marked"
    assert marked(["one = 1", "two = 2"], ["# a new line", "one = 3", "two = 2 + x"])[1] == ["", "3", " + x"]
    chance = random.Random(5)
    for _ in range(300):  # without what is marked, both lines are the same
        old, new = ("".join(chance.choices("ab (),=", k=chance.randint(1, 24))) for _ in range(2))
        rest = [
            "".join(c for at, c in enumerate(line) if not any(a <= at < b for a, b in spans[0]))
            for line, spans in zip((old, new), edits.marks([old], [new]), strict=True)
        ]
        if edits.marks([old], [new]) != ([[]], [[]]):
            assert rest[0].replace(" ", "") == rest[1].replace(" ", ""), (old, new)


def test_colours_follow_the_language_also_from_the_middle_of_a_comment() -> None:
    def classes(lines: list[str], path: str, whole: bool = False) -> list[set[str]]:
        spans = colours.spans(lines, colours.language_of(path), whole=whole)
        return [{class_ for _, _, class_ in line} for line in spans]

    python = ["    of a docstring.", '    """', "    return 1"]
    assert classes(python, "src/a.py") == [{"s"}, {"s"}, {"k", "m"}]
    assert classes(["def f():", '    """Says it."""', "    pass"], "a.py")[2] == {"k"}
    assert classes(["x = 1", '"""', "text"], "a.py", whole=True)[2] == {"s"}
    assert classes(["of a comment */", "int x = 1;"], "a.c") == [{"c"}, {"kt", "m"}]
    assert classes(["all: x", "\techo"], "deep/Makefile")[0] and classes(["def f"], "notes.unknown") == [set()]
    long = ["x = 1"] * (2 * colours.PIECE // 6 + 9)
    assert colours.spans(long, "python") == [[(4, 5, "m")]] * len(long), "in pieces"
    for path in ("a.ts", "a.html", "a.rs", "a.yml", "a.php", "a.sh", "Dockerfile"):
        text = ["<b>x</b> /* c */", "if (a) { return 'x'; }", "", "fn main() -> u8 { 1 } # \u202e\U0001f600"]
        for line, spans in zip(text, colours.spans(text, colours.language_of(path)), strict=True):
            ends = [at for start, end, _ in spans for at in (start, end)]
            assert ends == sorted(ends) and all(0 <= at <= len(line) for at in ends), path


def test_every_piece_of_a_line_is_escaped() -> None:
    rows = patch("@@ -5 +5 @@ <u>", "-x = '<b>&amp;' # <i>", "+x = '<b>&lt;' # <i>", "+ \u202e</div>")
    page = shown(rows, "a.py")
    assert "<b>" not in page and "<u>" not in page and "\u202e" not in page and "&lt;/div&gt;" in page
    text = page.replace("<mark>", "").replace("</mark>", "").replace("</i>", "")
    for class_ in ("s", "c", "m", "k", "nf"):
        text = text.replace(f"<i class={class_}>", "")
    assert "+x = '&lt;b&gt;&amp;lt;' # &lt;i&gt;</div>" in text and "<mark>" in page


def test_no_more_is_coloured_than_the_bound() -> None:
    large = tuple(Row("add", "return 1" * 40, 0, n + 1) for n in range(600))
    files = tuple(File("a.py", "A", 600, 0, large) for _ in range(3))
    first, second, third = drawn(Changes(files))
    assert "<i class=k>" not in first and first == second == third, "600 lines of 320 characters are above it"
    small = File("a.py", "A", 1, 0, (Row("add", "return 1", 0, 1),))
    assert "<i class=k>" in drawn(Changes((*files, small)))[3]
