"""The looks of words, in the 16 colours that the person's own terminal defines; they suit a light and a dark one."""

from __future__ import annotations

from typing import Final

# Select Graphic Rendition parameters of ECMA-48
_LOOKS: Final = {
    "": "",
    "strong": "1",
    "faint": "2",
    "inverse": "7",
    "good": "32",
    "bad": "31",
    "waiting": "33",
    "name": "36",
}

_OUTCOMES: Final = {
    "pass": "good",
    "fail": "bad",
    "check-failed": "bad",
    "damaged": "bad",
    "unverified": "",
    "pending": "waiting",
}


def paint(text: str, look: str, colours: bool) -> str:
    """`text` in one of the looks; unchanged if there are no colours. `text` must be safe already."""
    return f"\x1b[{_LOOKS[look]}m{text}\x1b[m" if colours and look and text else text


def of_outcome(outcome: str) -> str:
    """The look of how an exchange ended; the words next to it say the same."""
    if outcome.startswith("error:"):
        return "bad"
    return _OUTCOMES.get(outcome, "faint")
