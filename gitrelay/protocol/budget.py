"""Budgets as values: what a call, a session or a day may use, and what was used. Pure, no I/O.

Written as `2usd`, `200ktok`, `15m`; several words make one budget. Tokens are fresh input and output: what a cache
gives back is not counted, or a cheap call with a long context would be ended for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.ground import duration
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names, usage

USD: Final = "usd"
TOKENS: Final = "tok"
TIME: Final = "time"
UNITS: Final = (USD, TOKENS, TIME)
CALL: Final = "call"  # a call and every call made inside it
SESSION: Final = "session"
DAY: Final = "day"  # a local day, of the whole repository
SCOPES: Final = (CALL, SESSION, DAY)
_NUMBER: Final = r"(\d{1,12}(?:\.\d{1,6})?)"
_USD: Final = re.compile(rf"(?:{_NUMBER}(?:usd|\$)|\${_NUMBER})")
_TOKENS: Final = re.compile(rf"{_NUMBER}(k|m|)tok(?:ens?)?")
_TIMES: Final = {"": 1, "k": 1000, "m": 1_000_000}


@dataclass(frozen=True)
class Amount:
    """Dollars, tokens and seconds. None: not limited in a budget, not measured in what was used."""

    usd: Decimal | None = None
    tok: Decimal | None = None
    time: Decimal | None = None

    def of(self, unit: str) -> Decimal | None:
        return {USD: self.usd, TOKENS: self.tok, TIME: self.time}[unit]

    @property
    def is_empty(self) -> bool:
        return all(self.of(unit) is None for unit in UNITS)

    def words(self) -> list[str]:
        """As it is written; nothing for what is None."""
        return [shown(unit, value) for unit in UNITS if (value := self.of(unit)) is not None]


def shown(unit: str, value: Decimal) -> str:
    """One amount as a person writes it."""
    if unit == TIME:
        return f"{value.normalize():f}s"
    return f"{value.normalize():f}{unit}"


def parse(words: Iterable[str], what: str) -> Amount:
    """One budget out of its words; of two for the same unit the smaller counts. Raises UsageError that quotes one."""
    found: dict[str, Decimal] = {}
    for word in words:
        unit, value = _parsed(word, what)
        found[unit] = min(value, found.get(unit, value))
    return Amount(found.get(USD), found.get(TOKENS), found.get(TIME))


def _parsed(word: str, what: str) -> tuple[str, Decimal]:
    text = word.strip().lower()
    dollars, tokens = _USD.fullmatch(text), _TOKENS.fullmatch(text)
    if dollars:
        return USD, Decimal(dollars[1] or dollars[2])
    if tokens:
        return TOKENS, Decimal(tokens[1]) * _TIMES[tokens[2]]
    try:
        if text[-1:].isdigit():
            raise UsageError("a number without a unit")
        return TIME, Decimal(str(duration.parse(text, what)))
    except UsageError:
        raise UsageError(
            f"{what} {quote(word)} is not a budget",
            hint="write it as 2usd, 200ktok or 15m; several may be given",
            code=Code.BAD_BUDGET,
        ) from None


@dataclass(frozen=True)
class Held:
    """What holds a request: the budgets of its scopes, and the calls that it was made in, the outermost first.

    `caps` are (scope, peer that it is for or '', budget).
    """

    caps: tuple[tuple[str, str, Amount], ...] = ()
    within: tuple[str, ...] = ()

    def to_trailer(self) -> str:
        """`Relay-Budget`, '' if nothing holds the request."""
        if not self.caps and not self.within:
            return ""
        value: dict[str, object] = {f"{scope} {peer}".strip(): budget.words() for scope, peer, budget in self.caps}
        if self.within:
            value["in"] = list(self.within)
        return json.dumps(value)

    @classmethod
    def from_trailer(cls, text: str) -> Held:
        """What `to_trailer` gave; what cannot be read holds nothing."""
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(value, dict):
            return cls()
        inside = value.pop("in", [])
        caps = []
        for key, words in value.items():
            scope, _, peer = str(key).partition(" ")
            if scope in SCOPES and isinstance(words, list) and all(isinstance(word, str) for word in words):
                try:
                    caps.append((scope, peer, parse(words, key)))
                except UsageError:
                    continue
        known = (
            [one for one in inside if isinstance(one, str) and names.is_address(one)]
            if isinstance(inside, list)
            else []
        )
        return cls(tuple(caps), tuple(known))

    def and_by(self, caps: Iterable[tuple[str, str, Amount]]) -> Held:
        """The same, held by `caps` too: of two for the same scope, peer and unit the smaller counts."""
        found = {(scope, peer): budget for scope, peer, budget in self.caps}
        for scope, peer, budget in caps:
            mine = found.get((scope, peer), Amount())
            its = [[n for n in (mine.of(unit), budget.of(unit)) if n is not None] for unit in UNITS]
            found[scope, peer] = Amount(*(min(numbers, default=None) for numbers in its))
        return replace(self, caps=tuple((scope, peer, budget) for (scope, peer), budget in found.items()))

    def cap(self, scope: str) -> Amount | None:
        """The budget of a scope that is for every peer, None if there is none."""
        return next((budget for s, peer, budget in self.caps if s == scope and not peer), None)


def used(figures: Mapping[str, Decimal], seconds: Decimal | None, price: Amount | None = None) -> Amount:
    """What a call used, from its usage by name (see `protocol.usage`) and its seconds.

    `price`: dollars (`usd`) for a million fresh input tokens, (`tok`) for a million output tokens and (`time`) for a
    million cached ones, for a call whose peer reports no cost.
    """
    tokens = None
    if "input" in figures or "output" in figures:
        tokens = usage.fresh(figures) + figures.get("output", Decimal(0))
    cost = figures.get("cost_usd")
    if cost is None and price is not None and tokens is not None and price.usd is not None:
        million = Decimal(1_000_000)
        cached = min(figures.get("cached", Decimal(0)), figures.get("input", Decimal(0)))
        cost = (
            usage.fresh(figures) * price.usd
            + figures.get("output", Decimal(0)) * (price.tok or price.usd)
            + cached * (price.usd if price.time is None else price.time)
        ) / million
    return Amount(cost, tokens, seconds)
