"""Whose key signs statements, and which keys are believed: ssh's own files, and an agent."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.provenance.attest import dsse, sshagent, sshsig
from gitrelay.provenance.attest.dsse import Envelope, Signature
from gitrelay.provenance.attest.sshagent import Agent, Key

_FILE_MAX: Final = 1_000_000  # bytes of a file with keys
_KINDS: Final = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


RAW: Final = "raw"
SSHSIG: Final = "sshsig"


class Signer:
    """A key in an agent. `form`: RAW, which most tools read, or SSHSIG, which ssh-keygen reads."""

    def __init__(self, agent: Agent, key: Key, form: str = RAW) -> None:
        self._agent, self.key, self.form = agent, key, form

    def envelope(self, payload: bytes) -> Envelope:
        data = dsse.pae(payload)
        raw = sshsig.sign(self._agent, self.key, data) if self.form == SSHSIG else self._agent.sign(self.key, data)
        return Envelope(payload, (Signature(self.key.fingerprint, raw),))


@contextlib.contextmanager
def signer(repo: Repository, wanted: str | None, form: str = RAW) -> Iterator[Signer]:
    """The key `wanted` (a file or SHA256:...), else git's `user.signingKey`, else the only one in the agent.

    A private key on the disk that the agent does not have gets an agent of its own, for this once. Raises RelayError.
    """
    place = os.environ.get("SSH_AUTH_SOCK", "")
    agent = Agent(place) if place else None
    here = [key for key in (agent.keys() if agent is not None else []) if key.kind in _KINDS]
    named = wanted or (repo.setting("user.signingkey") if repo.setting("gpg.format") == "ssh" else None)
    if named is None:
        if len(here) != 1 or agent is None:
            raise UsageError(
                f"which key signs? The ssh agent has {len(here)}",
                hint="name one: --key FILE or --key SHA256:..., or git config user.signingKey with gpg.format ssh",
                code=Code.CANNOT_SIGN,
            )
        yield Signer(agent, here[0], form)
        return
    path = Path(named).expanduser()
    public = _public(named, path)
    for key in here:
        if agent is not None and (key.fingerprint == named or (public is not None and key.blob == public.blob)):
            yield Signer(agent, key, form)
            return
    private = path.with_suffix("") if path.suffix == ".pub" else path
    if not private.is_file():
        raise UsageError(
            f"the ssh agent has no key {quote(named)}, and there is no such file",
            hint="ssh-add -l lists the agent's keys",
            code=Code.CANNOT_SIGN,
        )
    with sshagent.of_file(private) as own:
        yield Signer(own, own.keys()[0], form)


def _public(named: str, path: Path) -> Key | None:
    """The public key that is named: written out, as git allows (`key::ssh-ed25519 ...`), or in a file's `.pub`."""
    line = named.removeprefix("key::")
    if not line.startswith(_KINDS):
        side = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
        line = _text_of(side, missing="")
    return _key(line.split()) if line.split() else None


@dataclass(frozen=True)
class Believed:
    """A key of an allowed-signers file, and whose it is."""

    principals: str
    key: Key


def believed(path: Path) -> list[Believed]:
    """The keys of a file in ssh's allowed-signers form (ssh-keygen(1)). Raises UsageError.

    A line with options (a time, a namespace, an authority) is left out: they say when a key is not to be believed.
    """
    found = []
    for line in _text_of(path).splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        key = _key(words[1:])
        if key is not None:
            found.append(Believed(words[0], key))
    if not found:
        raise UsageError(
            f"{quote_path(path)} has no key that can be believed",
            hint="a line is: PRINCIPAL ssh-ed25519 AAAA...; lines with options are left out",
            code=Code.NO_SIGNATURES,
        )
    return found


def who_signed(envelope: Envelope, keys: Sequence[Believed]) -> Believed | None:
    """The first of `keys` that has made one of the signatures. Raises RelayError if the library is not installed."""
    data = dsse.pae(envelope.payload)
    for one in keys:
        if any(_has_made(one.key, signature.raw, data) for signature in envelope.signatures):
            return one
    return None


def _has_made(key: Key, raw: bytes, data: bytes) -> bool:
    """Whether `raw`, in either form, is a signature of `data` by `key`."""
    if not sshsig.is_one(raw):
        return _is_good(key, raw, data)
    found = sshsig.parse(raw, data)
    if found is None or found.key.blob != key.blob:
        return False
    try:
        own = sshagent.der(found.raw) if found.algorithm.startswith(b"ecdsa-sha2-") else found.raw
    except RelayError:
        return False
    return _is_good(key, own, found.signed, sha512=found.algorithm == b"rsa-sha2-512")


def _is_good(key: Key, raw: bytes, data: bytes, *, sha512: bool = False) -> bool:
    """Whether `raw` is the bare signature of `data` by `key`; `sha512`: an RSA key was used with that."""
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    except ImportError as e:
        raise UsageError(
            "signatures cannot be checked: the package cryptography is not installed",
            hint="pip install 'gitrelay-cli[attest]'",
            code=Code.NO_SIGNATURES,
        ) from e
    try:
        public = load_ssh_public_key(f"{key.kind} {base64.b64encode(key.blob).decode()}".encode())
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(raw, data)
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, data, padding.PKCS1v15(), hashes.SHA512() if sha512 else hashes.SHA256())
        elif isinstance(public, ec.EllipticCurvePublicKey):
            sizes = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
            public.verify(raw, data, ec.ECDSA(sizes[public.curve.key_size]))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError):
        return False
    return True


def _key(words: Sequence[str]) -> Key | None:
    """`KIND BASE64 COMMENT...` -> the key; None if it is no key of a kind that signs statements."""
    if len(words) < 2 or words[0] not in _KINDS:
        return None
    try:
        key = Key(base64.b64decode(words[1], validate=True), " ".join(words[2:]))
        return key if key.kind == words[0] else None
    except (binascii.Error, ValueError, RelayError):
        return None


def _text_of(path: Path, missing: str | None = None) -> str:
    try:
        with path.open("rb") as f:
            return f.read(_FILE_MAX).decode("utf-8", "replace")
    except OSError as e:
        if missing is not None:
            return missing
        raise UsageError(
            f"{quote_path(path)} cannot be read: {e.strerror}", hint="--signers FILE", code=Code.NO_SIGNATURES
        ) from e
