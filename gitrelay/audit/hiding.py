"""What makes git show something else than the objects of a repository: replace refs, grafts, shallow cuts.

`fsck` itself reads past all of them; a person who types `git log` does not. Pure, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Hidden:
    """Objects that git shows another of, commits whose parents it takes from a file, commits where it stops."""

    replaced: frozenset[str] = frozenset()
    grafted: frozenset[str] = frozenset()
    shallow: frozenset[str] = frozenset()

    def judged(self, oids: Collection[str]) -> Iterator[tuple[str, str, str]]:
        """(code, words, the object) for each of the objects `oids` of a session that git does not show as it is."""
        for oid in sorted(self.replaced.intersection(oids)):
            yield "replaced", f"git shows another object in place of {oid[:12]}", oid
        for oid in sorted(self.grafted.intersection(oids)):
            yield "grafted", f"git takes the parents of {oid[:12]} from a file, not from the commit", oid
        for oid in sorted(self.shallow.intersection(oids)):
            yield "shallow", f"git stops at {oid[:12]}, and what is before it is here", oid

    @property
    def is_empty(self) -> bool:
        return not (self.replaced or self.grafted or self.shallow)
