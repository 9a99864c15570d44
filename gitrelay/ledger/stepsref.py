"""`refs/relay/steps/<session>`: a line of commits, each of which adds the steps of one turn. No message depends on it.

It stays when a session is archived, as its code ref does. What is written has passed through redaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gitrelay.errors import RelayError
from gitrelay.git import pack
from gitrelay.git.faults import GitError
from gitrelay.git.objects import FILE_MODE, TreeEntry
from gitrelay.ground.text import plain
from gitrelay.ledger.ledger import Ledger
from gitrelay.ledger.uninterrupted import uninterrupted
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import STEPS, Trailer, author_of, commit_message
from gitrelay.protocol.steps import MAX_BYTES, WHAT_MAX, BadSteps, Step, Steps, parse, steps_file

if TYPE_CHECKING:
    from gitrelay.redact import Redactor

_TRIES: Final = 5
_PAUSE: Final = 0.1  # seconds between two tries to move the ref
_CUT: Final = 1000  # characters before the end of what was cut in which half a secret may be
_HIDDEN: Final = "[redacted]"


def append(ledger: Ledger, session: str, steps: Steps) -> None:
    """Add the steps of a turn; nothing happens if the turn has some already. Raises RelayError."""
    repo, ref = ledger.repo, STEPS + session
    steps = redacted(ledger.redactor, steps)
    data, name = steps.render(), steps_file(steps.re)
    count = len(steps.steps) + steps.left_out
    words = f"stp {steps.re} {steps.from_}: {count} step{'' if count == 1 else 's'}"
    text = commit_message(words, {Trailer.ID: steps.re, Trailer.FROM: steps.from_})
    with uninterrupted(repo):
        for left in reversed(range(_TRIES)):
            tip = repo.ref(ref)
            there = _entries(ledger, tip) if tip is not None else []
            if any(entry.name == name for entry in there):
                return
            blob = TreeEntry(FILE_MODE, name, repo.object_id("blob", data))
            entries = sorted([*there, blob], key=lambda entry: entry.name)
            commit = pack.commit_files(repo, entries, [data], [tip] if tip else [], text, author_of(steps.from_))
            try:
                repo.move_refs([(ref, commit, tip or repo.no_object)], words)
                return
            except GitError:
                if not left:
                    raise
                time.sleep(_PAUSE)  # another process moves it just now, or has locked it


def redacted(redactor: Redactor, steps: Steps) -> Steps:
    """The same without its secrets, each step one line of at most WHAT_MAX characters."""
    clean = replace(steps, steps=tuple(_redacted(redactor, step) for step in steps.steps))
    if redactor.find(clean.render().decode()):  # what is a secret only in its line
        alone = replace(clean, steps=())
        found = [bool(redactor.find(replace(alone, steps=(step,)).render().decode())) for step in clean.steps]
        rest = (replace(s, what=_HIDDEN) if hit else s for s, hit in zip(clean.steps, found, strict=True))
        clean = replace(clean, steps=tuple(rest))
    return clean


def _redacted(redactor: Redactor, step: Step) -> Step:
    text = redactor.redact(step.what).text
    return replace(step, what=plain(text if len(step.what) < _CUT * 3 else text[:-_CUT], WHAT_MAX))


def read(ledger: Ledger, addresses: Sequence[Address]) -> dict[Address, Steps]:
    """The steps of these exchanges, as far as they are recorded and can be read."""
    try:
        there = {row[0].removeprefix(STEPS) for row in ledger.repo.each_ref("%(refname)", STEPS)}
        addresses = [address for address in addresses if address.session in there]
        wanted = [f"{STEPS}{address.session}:{steps_file(address.id)}" for address in addresses]
        objects = ledger.repo.objects(wanted)
    except RelayError:
        return {}
    found = {}
    for address, one in zip(addresses, objects, strict=True):
        if one is None or one.kind != "blob" or len(one.data) > MAX_BYTES:
            continue
        try:
            steps = parse(one.data)
        except BadSteps:
            continue
        if steps.re == address.id:
            found[address] = steps
    return found


def _entries(ledger: Ledger, tip: str) -> list[TreeEntry]:
    (tree,) = ledger.repo.objects([f"{tip}^{{tree}}"])
    return ledger.repo.tree_entries(tree.data) if tree is not None else []
