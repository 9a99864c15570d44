"""What tables in the docs say."""

from __future__ import annotations

import re


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in a piece of markdown, heads left out."""
    found = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in found if row[0] not in ("code", "reason", "key")]


def section(text: str, start: str) -> set[str]:
    """The keys of the first table behind `start` in docs/json.md."""
    table = text[text.index(start) :]
    match = re.search(r"^\|.*?(?=^\n|\Z)", table, re.M | re.S)
    assert match is not None
    return {row[0].strip("`") for row in rows(match[0])}
