"""An ordered table of named rules: the first rule that holds decides, and can be named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Rule(NamedTuple, Generic[T]):
    """If `holds` is true of a candidate, then it is a secret or not, as `secret` says; no later rule is asked."""

    name: str
    holds: Callable[[T], bool]
    secret: bool


def decide(rules: Iterable[Rule[T]], candidate: T) -> Rule[T] | None:
    """The first rule that holds for `candidate`; None if no rule does."""
    for rule in rules:
        if rule.holds(candidate):
            return rule
    return None


class lazy(Generic[T]):
    """An attribute that is computed when it is first asked for. functools.cached_property takes a lock until 3.12."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__

    def __get__(self, instance: object, owner: type | None = None) -> T:
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value
