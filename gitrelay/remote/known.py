"""What a remote has shown, remembered here: `refs/relay/known/<remote>/heads/<session>` and `.../code/<session>`.

A remote that was restored from a backup, or rewritten, no longer has what it had: that is noticed because these
refs only move forward. They also keep what a remote has shown alive, whatever the remote does afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gitrelay.git.repository import Repository
from gitrelay.ground.value import dataclass
from gitrelay.protocol import names

KNOWN: Final = "refs/relay/known/"
_HEADS: Final = "heads/"
_CODE: Final = "code/"


@dataclass(frozen=True)
class Known:
    """The tips of sessions and of their code refs that a remote has shown, by session."""

    heads: Mapping[str, str]
    code: Mapping[str, str]


def read(repo: Repository, remote: str) -> Known:
    """What `remote` has shown so far; one git process."""
    prefix = f"{KNOWN}{remote}/"
    heads: dict[str, str] = {}
    code: dict[str, str] = {}
    for ref, oid in repo.each_ref("%(refname)%00%(objectname)", prefix):
        kind, _, session = ref.removeprefix(prefix).partition("/")
        if names.is_session(session) and kind in ("heads", "code"):
            (heads if kind == "heads" else code)[session] = oid
    return Known(heads, code)


def head_ref(remote: str, session: str) -> str:
    return f"{KNOWN}{remote}/{_HEADS}{session}"


def code_ref(remote: str, session: str) -> str:
    return f"{KNOWN}{remote}/{_CODE}{session}"


def moves(
    repo: Repository, remote: str, before: Known, heads: Mapping[str, str], code: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """The ref moves by which it is remembered that `remote` has these tips, of commits that are here."""
    wanted = [(head_ref(remote, name), oid, before.heads.get(name)) for name, oid in heads.items()]
    wanted += [(code_ref(remote, name), oid, before.code.get(name)) for name, oid in code.items()]
    return [(ref, oid, old or repo.no_object) for ref, oid, old in wanted if oid != old]
