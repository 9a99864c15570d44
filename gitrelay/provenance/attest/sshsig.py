"""ssh's own form of a signature: what `ssh-keygen -Y sign` writes and `ssh-keygen -Y verify` reads.

It does not sign the data but a block with the data's hash and a namespace (OpenSSH, PROTOCOL.sshsig). What is read is
hostile until parsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import textwrap
from typing import Final

from gitrelay.errors import RelayError
from gitrelay.ground.value import dataclass
from gitrelay.provenance.attest.sshagent import Agent, Key, Reader, packed

NAMESPACE: Final = b"dsse@gitrelay"
_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----"
_END: Final = b"-----END SSH SIGNATURE-----"
_HASHES: Final = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


@dataclass(frozen=True)
class Signature:
    """A signature by `key`: `raw` is that of `signed`, made with `algorithm` (`ssh-ed25519`, `rsa-sha2-256`, ...)."""

    key: Key
    algorithm: bytes
    raw: bytes
    signed: bytes


def sign(agent: Agent, key: Key, data: bytes) -> bytes:
    """The signature of `data`, in armour. Raises CannotRecord if the agent does not sign."""
    made = agent.signature(key, _block(data, b"sha512"))
    head = packed(key.blob) + packed(NAMESPACE) + packed(b"") + packed(b"sha512")
    body = base64.b64encode(_MAGIC + struct.pack(">I", 1) + head + packed(made)).decode()
    return b"\n".join([_BEGIN, *(line.encode() for line in textwrap.wrap(body, 70)), _END, b""])


def is_one(raw: bytes) -> bool:
    return raw.lstrip().startswith(_BEGIN)


def parse(raw: bytes, data: bytes) -> Signature | None:
    """The signature of `data` that the armour holds; None if it is none, or one for another namespace."""
    body, end, _ = raw.partition(_BEGIN)[2].partition(_END)
    if not end:
        return None
    try:
        block = base64.b64decode(b"".join(body.split()), validate=True)
        if not block.startswith(_MAGIC):
            return None
        reader = Reader(block[len(_MAGIC) :])
        version, blob, namespace = reader.number(), reader.text(), reader.text()
        _, name, made = reader.text(), reader.text(), Reader(reader.text())
        if version != 1 or namespace != NAMESPACE or name not in _HASHES or not reader.is_at_end:
            return None
        return Signature(Key(blob, ""), made.text(), made.text(), _block(data, name))
    except (binascii.Error, ValueError, RelayError):
        return None


def _block(data: bytes, name: bytes) -> bytes:
    """What is signed in place of `data`, by the hash of that name."""
    return _MAGIC + packed(NAMESPACE) + packed(b"") + packed(name) + packed(_HASHES[name](data).digest())
