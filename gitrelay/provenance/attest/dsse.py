"""DSSE envelopes: a payload with signatures, one line of JSON. Pure.

The form is that of the DSSE specification 1.0 (github.com/secure-systems-lab/dsse): what is signed is not the JSON but
`pae`, the bytes of type and payload, so that the JSON may be written again by anybody.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from gitrelay.ground.value import dataclass

IN_TOTO: Final = "application/vnd.in-toto+json"
SIZE_MAX: Final = 4_000_000  # bytes of one envelope that are read
_SIGNATURES_MAX: Final = 16


class BadEnvelope(ValueError):
    """What was read is no envelope; the message says why."""


@dataclass(frozen=True)
class Signature:
    """`keyid` is a hint and never decides; `raw` are the signature's bytes."""

    keyid: str
    raw: bytes


@dataclass(frozen=True)
class Envelope:
    """A signed payload of the type IN_TOTO."""

    payload: bytes
    signatures: tuple[Signature, ...]

    def line(self) -> str:
        """One line of JSON, as it is printed and stored."""
        signatures = [{"keyid": s.keyid, "sig": _b64(s.raw)} for s in self.signatures]
        value = {"payloadType": IN_TOTO, "payload": _b64(self.payload), "signatures": signatures}
        return json.dumps(value, separators=(",", ":"))


def pae(payload: bytes, type_: str = IN_TOTO) -> bytes:
    """The bytes that are signed."""
    kind = type_.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def parse(line: bytes) -> Envelope:
    """One envelope out of its JSON. Raises BadEnvelope."""
    if len(line) > SIZE_MAX:
        raise BadEnvelope(f"it is larger than {SIZE_MAX} bytes")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise BadEnvelope("it is not JSON") from None
    if not isinstance(value, dict) or value.get("payloadType") != IN_TOTO:
        raise BadEnvelope(f"its payloadType is not {IN_TOTO}")
    signatures = value.get("signatures")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _SIGNATURES_MAX:
        raise BadEnvelope("it has no signatures")
    return Envelope(_bytes(value.get("payload"), "payload"), tuple(_signature(one) for one in signatures))


def _signature(value: Any) -> Signature:
    if not isinstance(value, dict):
        raise BadEnvelope("a signature is not an object")
    keyid = value.get("keyid", "")
    if not isinstance(keyid, str):
        raise BadEnvelope("a keyid is not text")
    return Signature(keyid, _bytes(value.get("sig"), "sig"))


def _bytes(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise BadEnvelope(f"it has no {name}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadEnvelope(f"its {name} is not base64") from None


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
