"""What a patch adds, as git prints it: hunks are counted, and what was moved is not written."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from gitrelay.provenance.lines import cache
from gitrelay.provenance.lines.additions import EDGE, Additions, of_patch, patches, text_of, unquoted

PATCH = b"""diff --git a/f b/f
--- a/f
+++ b/f
@@ -1,3 +1,4 @@
 one
--- two
+++ two
+three
 }
diff --git "a/t\\tb" "b/t\\tb"
new file mode 100644
--- /dev/null
+++ "b/t\\tb"
@@ -0,0 +1 @@
+alone
\\ No newline at end of file
"""


def test_a_patch_is_read_by_its_numbers() -> None:
    found = of_patch(PATCH)
    assert set(found.files) == {b"f", b"t\tb"}
    rows = found.files[b"f"]
    assert [(row.number, row.text) for row in rows] == [(2, text_of(b"++ two")), (3, text_of(b"three"))]
    assert rows[0].before == text_of(b"one").key and rows[1].behind == text_of(b"}").key
    (alone,) = found.files[b"t\tb"]
    assert (alone.before, alone.behind) == (EDGE, EDGE)
    assert not found.limits and not found.cut


def test_white_space_is_no_difference_and_moved_is_not_written() -> None:
    assert text_of(b"\ta = 1\r").key == text_of(b"a=1").key != text_of(b"a=2").key
    moved = of_patch(b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-  a = 1\n b\n+a = 1\n")
    assert moved.limits == {text_of(b"a = 1").key: 0}


def test_a_line_that_could_be_meant_by_another_one_knows_it() -> None:
    found = of_patch(b"--- a/f\n+++ b/f\n@@ -1,2 +1,4 @@\n }\n+x\n+}\n y\n")
    assert [row.twin for row in found.files[b"f"]] == [0, -2]


def test_pairs_of_trees_are_told_apart() -> None:
    a, b, c = "a" * 40, "b" * 40, "c" * 40
    out = f"{a} {b}\n".encode() + PATCH + f"{b} {c}\n".encode() + PATCH
    pairs = [(a, b), (a, a), (b, c)]
    assert [(pair, bool(patch)) for pair, patch in patches(out, pairs)] == [
        (a_pair, a_pair != (a, a)) for a_pair in pairs
    ]


@pytest.mark.parametrize(
    ("word", "path"), [(b"a b", b"a b"), (b'"a\\"b\\303\\244\\n"', 'a"bä\n'.encode()), (b'"', b'"')]
)
def test_paths_are_unquoted(word: bytes, path: bytes) -> None:
    assert unquoted(word) == path


def test_the_cache_gives_back_what_was_kept_and_nothing_that_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    kept = {("a" * 40, "b" * 40): of_patch(PATCH), ("b" * 40, "c" * 40): Additions({}, {7: 0}, True, frozenset({9}))}
    assert cache.read(folder) == {}
    cache.write(folder, kept)
    assert cache.read(folder) == kept
    file = folder / cache.FILE
    good = file.read_bytes()
    assert b"three" not in zlib.decompress(good)  # no text
    value = json.loads(zlib.decompress(good))
    for bad in (
        {**value, "version": 1},
        {**value, "pairs": {"x y": []}},
        {**value, "pairs": {"a" * 40 + " " + "b" * 40: [{"f": [[1, 2, 3, 4, 5, 6, 7, 8, "9"]]}, {}, 0, []]}},
        {**value, "pairs": {"a" * 40 + " " + "b" * 40: [{"f": [[1, 2, 3, 4, 5, 6, 7, -8, 9]]}, {}, 0, []]}},
        {**value, "pairs": {"a" * 40 + " " + "b" * 40: [{}, {}, 0, ["7"]]}},
        [1],
    ):
        file.write_bytes(zlib.compress(json.dumps(bad).encode()))
        assert cache.read(folder) == {}
    for data in (b"", b"no zlib", good[:-5], zlib.compress(b"[" * 100_000)):
        file.write_bytes(data)
        assert cache.read(folder) == {}
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert cache.read(folder) == {}
