"""What `git config --list` says, setting by setting: where it is set, and the bytes as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from gitrelay.ground.value import dataclass


@dataclass(frozen=True)
class Setting:
    """`value` is None for `[a] b` without '=', which means true; `origin` is '' if it was not asked for."""

    origin: bytes
    name: bytes
    value: bytes | None


def settings(out: bytes, *, origins: bool) -> list[Setting]:
    """The settings in what `git config --null --list` has printed, with `--show-origin` if `origins`."""
    fields = out.split(b"\0")[:-1]
    step = 2 if origins else 1
    found = []
    for origin, item in zip(fields[::2] if origins else [b""] * len(fields), fields[step - 1 :: step], strict=False):
        name, newline, value = item.partition(b"\n")
        found.append(Setting(origin, name, value if newline else None))
    return found


def of_file(listed: Sequence[Setting], path: Path, folder: Path) -> list[Setting]:
    """Those of `listed` that the file `path` itself has, not what it includes; git was run in `folder`."""
    names = {str(path), os.path.realpath(path), os.path.relpath(path, os.path.realpath(folder))}
    origins = {os.fsencode(f"file:{name}") for name in names}
    return [one for one in listed if one.origin in origins]


def by_name(listed: Iterable[Setting]) -> dict[str, list[tuple[str, str]]]:
    """Lower-cased section and key (the subsection as written) -> [(value, the file it is in)]."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in listed:
        value = "true" if one.value is None else one.value.decode("utf-8", "replace")
        where = one.origin.decode("utf-8", "replace").removeprefix("file:")
        found.setdefault(one.name.decode("utf-8", "replace"), []).append((value, where))
    return found
