"""The note of a workspace decides what is removed: it is read as what anybody could have written."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gitrelay.workspace.place import Note, Stage, line_of, parse_note

KEY = "repository-0123456789abcdef"
BELOW = Note("s", "/r", ".relay/.work/s", Stage.READY, 1, 2, ("lib",), "a" * 40, repository="1:2")
OUTSIDE = replace(BELOW, name=f"{KEY}/s", outside="/w")


@pytest.mark.parametrize(
    "note", [BELOW, OUTSIDE, replace(BELOW, base=""), replace(BELOW, base="b" * 64, repository="")]
)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert parse_note(line_of(note).encode(), "s", "1:2") == note


@pytest.mark.parametrize("note", [BELOW, OUTSIDE])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../s"),
        ("name", "src"),
        ("name", "src/s"),
        ("name", ".git/s"),
        ("name", "/etc/s"),
        ("name", ".relay/.work/other"),
        ("name", ""),
        ("name", 1),
        ("top", "r"),
        ("top", "/r/../etc"),
        ("top", None),
        ("outside", "w"),
        ("outside", "/w/../etc"),
        ("outside", 1),
        ("device", "1"),
        ("inode", None),
        ("modules", ["../lib"]),
        ("modules", ["/lib"]),
        ("modules", [1]),
        ("base", "--output=x"),
        ("base", None),
        ("repository", "1:3"),
        ("repository", 1),
        ("session", "other"),
        ("stage", "odd"),
        ("more", 1),
    ],
)
def test_a_note_that_gitrelay_does_not_write_is_none(note: Note, field: str, value: object) -> None:
    written = json.loads(line_of(note))
    assert parse_note(json.dumps({**written, field: value}).encode(), "s", "1:2") is None
