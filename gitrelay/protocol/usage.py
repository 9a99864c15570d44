"""What a call used, out of its trailers: tokens, cost, seconds. Pure; what is no plain amount is not known."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

_MOST: Final = Decimal(10) ** 15  # more tokens, dollars or seconds than that nobody has used


def parse(text: str) -> dict[str, Decimal]:
    """`Relay-Usage` -> its amounts by name (`input`, `cached`, `output`, `cost_usd`); the others are left out."""
    pairs = (part.partition("=") for part in text.split())
    found = {name: amount(value) for name, _, value in pairs}
    return {name: value for name, value in found.items() if value is not None}


def amount(text: str | None) -> Decimal | None:
    """A number as a trailer says it, None if it is not one: not finite, below zero, beyond 10^15."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value < _MOST else None
