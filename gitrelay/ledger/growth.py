"""Which commits of a session's branch the ledger wrote: the branch is never moved back over one of them.

A commit is the ledger's if it has the form that `session` gives it: one parent, one file more than that, nothing
else changed, and a subject and a trailer that name the file. Who wrote such a commit by hand has recorded something,
as with `git relay res` or `git relay cancel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gitrelay.git.objects import FILE_MODE
from gitrelay.ledger.ledger import Ledger, Tip
from gitrelay.protocol.message import FILE, request_file, response_file
from gitrelay.protocol.record import Trailer, parse_raw

_MAX: Final = 500  # commits; what is recorded while one call runs is a handful
_KINDS: Final = {"req": "req", "res": "res", "check": "chk", "apply": "apl"}  # of a file, of a subject


def grown(ledger: Ledger, before: Tip, now: Tip | None) -> Tip:
    """The last of the ledger's own commits on the way from `before` to `now`; `before` if there is none."""
    if now is None or now.commit == before.commit:
        return before
    walk = ("rev-list", "--first-parent", "--topo-order", f"--max-count={_MAX}", now.commit, f"^{before.commit}")
    oids = ledger.repo.run(*walk, "--").decode().split()[::-1]
    last = before
    for tip in ledger.tips(oids):
        if tip is None or not _follows(last, tip):
            break
        last = tip
    return last


def _follows(before: Tip, after: Tip) -> bool:
    """Whether `after` is `before` plus one file, recorded as the ledger does it."""
    added = set(after.entries) - set(before.entries)
    if len(after.entries) != len(before.entries) + 1 or len(added) != 1 or _parents(after.data) != [before.commit]:
        return False
    entry = next(iter(added))
    name = FILE.fullmatch(entry.name)
    if name is None or entry.mode != FILE_MODE:
        return False
    commit = parse_raw(after.commit, after.data)
    id_, kind = name[1], _KINDS.get(name[2].partition("-")[0], "")
    return (
        commit.subject.startswith(f"{kind} {id_} ")
        and commit.trailers.get(Trailer.ID) == id_
        and (kind != "req" or (before.pending is None and entry.name == request_file(after.ids[-1])))
        and (kind != "res" or entry.name == response_file(before.pending or ""))
    )


def _parents(data: bytes) -> Sequence[str]:
    headers = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    return [line.split()[1] for line in headers.splitlines() if line.startswith("parent ")]
