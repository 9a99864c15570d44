"""`dataclass` as in the standard library, for modules that every command loads.

The library's own writes each method as source and compiles it: 0.5 ms for a frozen class of six fields, and a call
loads 80 of them, a quarter of its processor time. Here the methods of all classes are the same functions, over the
fields that the library finds: `fields`, `replace`, `asdict` and `field` are the library's own. To make an instance
takes 2 to 3 us, half as much again as with the library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

_Class = TypeVar("_Class")


@dataclass_transform(field_specifiers=(dataclasses.field,))
def dataclass(*, frozen: bool = False) -> Callable[[type[_Class]], type[_Class]]:
    """As `dataclasses.dataclass`, with `frozen` alone to choose."""

    def finish(cls: type[_Class]) -> type[_Class]:
        if not cls.__doc__:
            cls.__doc__ = cls.__name__  # or the library loads `inspect` to say what its arguments are
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        methods = {"__init__": _init(fields), "__repr__": _repr(fields), **_comparing(fields, frozen)}
        if frozen:
            methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        for name, method in methods.items():
            if name not in cls.__dict__ or (name == "__hash__" and cls.__dict__[name] is None):
                setattr(cls, name, method)
        return cls

    return finish


def _init(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    names = tuple(field.name for field in fields if field.init)
    known, count, total = frozenset(names), len(names), len(fields)
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    factories = [(f.name, f.default_factory) for f in fields if f.default_factory is not dataclasses.MISSING]

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        own = self.__dict__
        if defaults:
            own.update(defaults)
        own.update(zip(names, args))  # noqa: B905 - the lengths are compared below
        if given:
            if not given.keys() <= known or not given.keys().isdisjoint(names[: len(args)]):
                raise TypeError(f"{type(self).__name__}() takes {', '.join(names)}, each once; it got {[*given]}")
            own.update(given)
        for name, make in factories:
            if name not in own:
                own[name] = make()
        if len(own) != total or len(args) > count:
            missing = ", ".join(name for name in names if name not in own)
            raise TypeError(f"{type(self).__name__}() lacks {missing or 'nothing'}, and got {len(args)} arguments")

    return __init__


def _repr(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any], str]:
    names = tuple(field.name for field in fields if field.repr)

    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _comparing(fields: tuple[dataclasses.Field[Any], ...], frozen: bool) -> dict[str, Callable[..., Any] | None]:
    names = tuple(field.name for field in fields if field.compare)

    def __eq__(self: Any, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine, others = self.__dict__, other.__dict__
        return all(mine[name] == others[name] for name in names)

    def __hash__(self: Any) -> int:
        return hash(tuple([self.__dict__[name] for name in names]))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _refuse_to_set(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
