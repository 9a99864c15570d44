"""A place in a text."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """What is redacted, `text[start:end]`, and by which rule; `begin` is where the words that gave it away begin."""

    start: int
    end: int
    rule: str
    begin: int
