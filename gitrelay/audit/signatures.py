"""Who signed the commits of a session, as `fsck --require-signed` asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay.audit.findings import Finding, finding
from gitrelay.audit.objectstore import ObjectStore
from gitrelay.audit.rules import History
from gitrelay.errors import CannotRecord, Code
from gitrelay.git.faults import GitError
from gitrelay.protocol import names
from gitrelay.protocol.record import Trailer

# -- signatures and witnesses -------------------------------------------------------------------------

# git's %G? -> (code, words); G is good
_SIGNATURES: Final = {
    "B": ("signature", "the signature does not fit the commit"),
    "R": ("signature", "signed with a key that was revoked"),
    "X": ("signature", "the signature has expired"),
    "Y": ("signature", "signed with a key that has expired"),
    "U": ("signer", "signed with a key that is not an allowed one"),
}


@dataclass(frozen=True)
class Signers:
    """Every commit must be signed, with ssh by the keys in the file `allowed`."""

    allowed: Path | None


# -- signatures ---------------------------------------------------------------------------------------


def check_signatures(
    store: ObjectStore, histories: Sequence[History], allowed_signers: Path | None
) -> Iterator[Finding]:
    """One process of gpg or ssh-keygen for every signed commit: git has no other way."""
    signed = [step.commit.oid for history in histories for step in history.steps if step.commit.signed]
    try:
        verdicts = store.signatures(signed, Path(os.path.abspath(allowed_signers)) if allowed_signers else None)
    except GitError as e:
        raise CannotRecord(f"the signatures cannot be checked: {e.message}", code=Code.NO_SIGNATURES) from None
    for history in histories:
        for step in history.steps:
            commit = step.commit
            found = ("unsigned", "it is not signed")
            if commit.signed:
                wrong = signature(*verdicts.get(commit.oid, ("E", "")))
                if wrong is None:
                    continue
                found = wrong
            id_ = commit.trailers.get(Trailer.ID, "")
            address = str(names.Address(history.session, id_)) if names.is_id(id_) else history.session
            yield finding(*found, address=address, commit=commit.oid, ref=history.ref)


def signature(verdict: str, key: str) -> tuple[str, str] | None:
    """(code, message) for git's verdict on a commit that bears a signature, None for a good one."""
    if verdict == "G":
        return None
    code, words = _SIGNATURES.get(verdict, ("signer", "the signature cannot be checked: the key is not known"))
    return code, f"{words} ({key})" if key else words
