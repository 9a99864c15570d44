"""Whether signed statements are believed, and whether they say what the record here says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.ledger.ledger import Ledger
from gitrelay.protocol import names
from gitrelay.protocol.names import Address
from gitrelay.provenance.attest import attestations, attesting, dsse, signing, statements
from gitrelay.provenance.attest.dsse import BadEnvelope, Envelope
from gitrelay.provenance.attest.signing import Believed
from gitrelay.provenance.attest.statements import Statement

_FILE_MAX: Final = 64_000_000  # bytes of a file of envelopes
_ADDRESS: Final = re.compile(r"[a-z0-9-]{1,100}/[a-z0-9-]{1,120}")
RECORDED: Final = "as recorded"


@dataclass(frozen=True)
class Verdict:
    """What was found of one envelope: `said` is its statement in words, '' if it has none."""

    signer: str  # principals and fingerprint; '' if no believed key has signed it
    said: str
    record: str  # RECORDED, or how it differs, or that the record is not here
    why: str  # what is wrong with it; '' if nothing is

    @property
    def is_good(self) -> bool:
        """Signed by a key that is believed, and the same as the record here."""
        return not self.why and bool(self.signer) and self.record == RECORDED


def verified(ledger: Ledger, lines: Sequence[bytes], keys: Sequence[Believed]) -> Iterator[Verdict]:
    """One verdict for each envelope. Raises RelayError only if signatures cannot be checked at all."""
    for line in lines:
        try:
            envelope = dsse.parse(line)
            statement = _statement(envelope)
        except BadEnvelope as e:
            yield Verdict("", "", "", f"it is not a signed statement: {e}")
            continue
        key = signing.who_signed(envelope, keys)
        signer = f"{key.principals} ({key.key.fingerprint})" if key is not None else ""
        why = "" if key is not None else "no key that is believed has signed these bytes"
        yield Verdict(signer, statements.words(statement), _compared(ledger, statement), why)


def lines_of(ledger: Ledger, place: str) -> list[bytes]:
    """The envelopes at `place`, a file or a ref; in a file one a line, or one in several lines. Raises UsageError."""
    path = Path(place)
    if not path.is_file():
        if place.startswith("refs/"):
            return attestations.read(ledger.repo, place)
        raise UsageError(
            f"{quote(place)} is neither a file nor a full ref name",
            hint=f"git relay attest --verify {attestations.PREFIX}trees",
            code=Code.UNKNOWN_REVISION,
        )
    with path.open("rb") as f:
        data = f.read(_FILE_MAX + 1)
    if len(data) > _FILE_MAX:
        raise UsageError(f"{quote_path(path)} is larger than {_FILE_MAX} bytes", code=Code.TOO_MANY)
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return [line for line in data.splitlines() if line.strip()]
    return [data]


def _statement(envelope: Envelope) -> Statement:
    try:
        value: Any = json.loads(envelope.payload)
    except (ValueError, RecursionError):
        raise BadEnvelope("its payload is not JSON") from None
    if not isinstance(value, dict) or value.get("_type") != statements.STATEMENT:
        raise BadEnvelope("its payload is not an in-toto Statement v1")
    return value


def _compared(ledger: Ledger, statement: Statement) -> str:
    """RECORDED, or in words why not."""
    said = statements.address_of(statement)
    if said is None or _ADDRESS.fullmatch(said) is None or not names.is_address(said):
        return "it names no exchange of gitrelay"
    session, _, id_ = said.partition("/")
    try:
        ours, _ = attesting.statements_of(ledger, Address(session, id_), resource=_resource(statement))
    except RelayError:
        return f"{said} is not in this clone"
    if statement in ours:
        return RECORDED
    near = [one for one in ours if one["predicateType"] == statement.get("predicateType")]
    return f"the record of {said} does not say that" + ("" if near else ": it has no such statement")


def _resource(statement: Statement) -> str | None:
    """Which repository a verdict says it is about: the signer's name for it, which need not be this clone's."""
    predicate = statement.get("predicate")
    said = predicate.get("resourceUri") if isinstance(predicate, dict) else None
    return said if isinstance(said, str) else None
