"""`gitrelay.ground.value.dataclass` against the library's own: the same classes, made both ways, behave alike."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from gitrelay.ground import value


def classes(made: Callable[..., Any]) -> tuple[type[Any], type[Any]]:
    @made(frozen=True)
    class Frozen:
        """Fields without and with defaults, of every kind."""

        one: int
        two: str = "b"
        hidden: str = dataclasses.field(default="", repr=False, compare=False)
        many: dict[str, int] = dataclasses.field(default_factory=dict)
        own: list[int] = dataclasses.field(init=False, default_factory=list)

        @property
        def both(self) -> str:
            return f"{self.one}{self.two}"

    @made(frozen=False)
    class Mutable:
        one: int
        two: int = 2

    return Frozen, Mutable


OURS, THEIRS = classes(value.dataclass), classes(dataclasses.dataclass)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as e:
        return type(e)


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c(1),
        lambda c: c(1, "x", "y", {"a": 1}),
        lambda c: c(one=1, many={"b": 2}),
        lambda c: c(),
        lambda c: c(two="x"),
        lambda c: c(1, one=1),
        lambda c: c(1, nothing=1),
        lambda c: c(1, own=[]),
        lambda c: c(1, "x", "y", {}, [], 6),
        lambda c: dataclasses.replace(c(1, "x"), one=3),
        lambda c: dataclasses.replace(c(1, "x"), nothing=3),
        lambda c: dataclasses.asdict(c(1, "x", many={"a": 1})),
        lambda c: [f.name for f in dataclasses.fields(c)],
        lambda c: setattr(c(1), "one", 2),
        lambda c: setattr(c(1), "other", 2),
        lambda c: delattr(c(1), "one"),
        lambda c: hash(c(1)),
        lambda c: hash((c(1, many=()), 0)),
        lambda c: (c(1) == c(1), c(1) == c(2), c(1, hidden="x") == c(1), c(1) == (1, "b", {}), c(1) != c(1)),
        lambda c: copy.copy(c(1, "x")),
        lambda c: c(1).both,
        lambda c: c(1).many is c(1).many,
        lambda c: c.__match_args__,
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_both_do_the_same(make: Callable[[Any], Any], which: int) -> None:
    ours, theirs = (outcome(lambda pair=pair: make(pair[which])) for pair in (OURS, THEIRS))  # type: ignore[misc]
    assert repr(ours) == repr(theirs) and type(ours).__name__ == type(theirs).__name__


@value.dataclass(frozen=True)
class Module:
    """One that can be pickled, and decides itself how it is shown."""

    one: int

    def __repr__(self) -> str:
        return "mine"


def test_what_a_class_defines_itself_stays_and_it_can_be_pickled() -> None:
    assert repr(Module(1)) == "mine" and pickle.loads(pickle.dumps(Module(1))) == Module(1)
    assert len({Module(1), Module(1), Module(2)}) == 2
