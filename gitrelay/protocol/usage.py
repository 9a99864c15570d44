"""What a call used, out of its trailers: tokens, cost, seconds. Pure; what is no plain amount is not known."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

_MOST: Final = Decimal(10) ** 15  # more tokens, dollars or seconds than that nobody has used


def parse(text: str) -> dict[str, Decimal]:
    """`Relay-Usage` -> its amounts by name (`input`, `cached`, `output`, `cost_usd`); the others are left out."""
    pairs = (part.partition("=") for part in text.split())
    found = {name: amount(value) for name, _, value in pairs}
    return {name: value for name, value in found.items() if value is not None}


def fresh(figures: Mapping[str, Decimal]) -> Decimal:
    """The input tokens that no cache gave back. In older records `cached` may not be part of `input`."""
    total, cached = figures.get("input", Decimal(0)), figures.get("cached", Decimal(0))
    return total - cached if cached <= total else total


def amount(text: str | None) -> Decimal | None:
    """A number as a trailer says it, None if it is not one: not finite, below zero, beyond 10^15."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value < _MOST else None
