"""docs/architecture.md names the functions of the program as they are, and each of its packages."""

from __future__ import annotations

import importlib
import re

import pytest

from support.places import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text()
WALKS = TEXT.partition("## One call")[2].partition("## Packages")[0]


def resolve(name: str) -> object:
    """The module, class or function that `name` is below `gitrelay`. Raises AttributeError if there is none."""
    found: object = importlib.import_module("gitrelay")
    dotted = "gitrelay"
    for part in name.split("."):
        dotted += f".{part}"
        try:
            found = importlib.import_module(dotted)
        except ModuleNotFoundError:
            found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([a-z_]+(?:\.[A-Za-z_]+)+)`", WALKS))))
def test_every_function_of_the_walks_is_there(name: str) -> None:
    assert callable(resolve(name))


def test_the_walks_name_enough_functions() -> None:
    assert len(set(re.findall(r"`([a-z_]+(?:\.[A-Za-z_]+)+)`", WALKS))) >= 30


def test_every_package_has_a_row() -> None:
    rows = TEXT.partition("## Packages")[2].partition("**Invariants**")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in rows.splitlines() if "|" in line)))
    there = {
        path.stem for path in (ROOT / "gitrelay").iterdir() if not path.name.startswith("__") or path.stem == "__main__"
    }
    assert there <= named
