"""A place in a text."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """What is redacted, `text[start:end]`, and by which rule.

    `text[begin:until]` is all that the rule needs to find it: the name before it, the quote or the `@` after it.
    A text that is cut inside of that may hide the secret from the rule. `why` is the rule of `verdict` that decided,
    if one did: to tell where a false alarm comes from.
    """

    start: int
    end: int
    rule: str
    begin: int
    until: int
    why: str = ""
