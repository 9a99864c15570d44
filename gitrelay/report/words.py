"""Words of others as a page may show them: nothing in them reorders what is read."""

from __future__ import annotations

import re
from typing import Final

# characters that reorder what is read, or that a terminal or browser obeys; the joiners of scripts and emoji stay
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(text: str) -> str:
    """`text` with every control and reordering character spelt out, as `[U+202E]`; line ends become newlines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return spelt_out(text)


def spelt_out(text: str) -> str:
    """`text` with control and reordering characters spelt out; its line ends stay as they are."""
    return _CONTROLS.sub(_spelt, text)


def _spelt(found: re.Match[str]) -> str:
    return f"[U+{ord(found[0]):04X}]"


def one_line(text: str, limit: int = 200) -> str:
    """The first line of `text` that says something, cut at `limit` characters."""
    for line in plain(text[: 16 * 1024]).splitlines():
        said = " ".join(line.strip().strip("#>*-= ").split())
        if said:
            return said if len(said) <= limit else said[: limit - 1].rstrip() + "\u2026"
    return ""
