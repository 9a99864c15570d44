"""The documents as an installed user has them: the markdown files of docs/."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.ground.text import quote

_HIDDEN: Final = ("index",)


def _folder() -> Path:
    """In a wheel they lie in the package, in a checkout beside it."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "docs"
    return inside if inside.is_dir() else package.parent / "docs"


def topics() -> list[str]:
    """The names of the pages, sorted."""
    return sorted(path.stem for path in _folder().glob("*.md") if path.stem not in _HIDDEN)


def titles() -> dict[str, str]:
    """topic -> the title of its page."""
    found = {}
    for name in topics():
        with (_folder() / f"{name}.md").open(encoding="utf-8") as page:
            found[name] = page.readline().removeprefix("# ").strip()
    return found


def text(topic: str, verbs: Sequence[str] = ()) -> str:
    """The page as markdown. Raises UsageError for an unknown one; `verbs` may be meant too."""
    wanted = topic.removesuffix(".md").removeprefix("docs/").lower()
    known = topics()
    if wanted in known:
        return (_folder() / f"{wanted}.md").read_text(encoding="utf-8")
    near = difflib.get_close_matches(wanted, [*known, *verbs], n=1)
    raise UsageError(
        f"there is no page {quote(topic)}" + (f"; did you mean {near[0]}?" if near else ""),
        hint="'git relay help' lists them",
        code=Code.NO_PAGE,
    )
