"""Signing by the user's ssh agent: the private key is never read here.

The protocol is that of draft-ietf-sshm-ssh-agent: requests and answers are a length and a body, the first byte of
which is the kind. The agent's answer is hostile until parsed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitrelay.errors import CannotRecord, Code
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.process.bridge import whole

_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN: Final = 13
_SIGN_ANSWER: Final = 14
_SHA256: Final = 2  # flag: an RSA key signs with sha2-256, which @sigstore/verify knows, and not with sha2-512
_ANSWER_MAX: Final = 256 * 1024  # bytes, OpenSSH's own limit
_LIMIT: Final = 120.0  # seconds: an agent may ask a person, or wait for a token to be touched


@dataclass(frozen=True)
class Key:
    """A public key as ssh writes it: `blob` is its binary form."""

    blob: bytes
    comment: str

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def kind(self) -> str:
        """ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256, ..."""
        return Reader(self.blob).text().decode("utf-8", "replace")


class Agent:
    """The agent at a socket. Every method raises CannotRecord if it does not answer as it should."""

    def __init__(self, place: str) -> None:
        self._place = place

    def keys(self) -> list[Key]:
        reader = Reader(self._ask(bytes([_IDENTITIES]), _IDENTITIES_ANSWER))
        return [Key(reader.text(), reader.text().decode("utf-8", "replace")) for _ in range(min(reader.number(), 4096))]

    def sign(self, key: Key, data: bytes) -> bytes:
        """The raw signature of `data`: 64 bytes for ed25519, DER for ECDSA, PKCS #1 with SHA-256 for RSA."""
        reader = Reader(self.signature(key, data))
        kind, raw = reader.text(), reader.text()
        return der(raw) if kind.startswith(b"ecdsa-sha2-") else raw

    def signature(self, key: Key, data: bytes) -> bytes:
        """The signature of `data` in ssh's form: two texts, the algorithm and the signature."""
        flags = _SHA256 if key.kind == "ssh-rsa" else 0
        request = bytes([_SIGN]) + packed(key.blob) + packed(data) + struct.pack(">I", flags)
        made = Reader(self._ask(request, _SIGN_ANSWER)).text()
        if Reader(made).text() == b"ssh-rsa":
            raise CannotRecord(
                "the ssh agent signs with SHA-1 only",
                hint="use an ed25519 key: ssh-keygen -t ed25519",
                code=Code.CANNOT_SIGN,
            )
        return made

    def _ask(self, request: bytes, wanted: int) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(_LIMIT)
                link.connect(self._place)
                link.sendall(packed(request))
                size = struct.unpack(">I", whole(link, 4))[0]
                if not 0 < size <= _ANSWER_MAX:
                    raise OSError(f"an answer of {size} bytes")
                answer = whole(link, size)
        except (OSError, EOFError) as e:
            why = str(e) or "it has closed the connection"
            raise CannotRecord(
                f"the ssh agent at {quote(self._place)} does not answer: {why}",
                hint="ssh-add -l",
                code=Code.CANNOT_SIGN,
            ) from e
        if answer[0] != wanted:
            raise CannotRecord("the ssh agent refuses", hint="ssh-add -l lists its keys", code=Code.CANNOT_SIGN)
        return answer[1:]


@contextlib.contextmanager
def of_file(path: Path) -> Iterator[Agent]:
    """An agent for the private key at `path` alone; ssh-add asks for a passphrase if the key has one.

    It is ended afterwards, and ends by itself some seconds after this process if that is killed.
    """
    with tempfile.TemporaryDirectory(prefix="git-relay-") as folder:
        place = os.path.join(folder, "agent")
        argv = ["ssh-agent", "-a", place, "sh", "-c", 'echo "$SSH_AGENT_PID"; cat']
        try:
            holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except OSError as e:
            raise CannotRecord(f"ssh-agent cannot be started: {e.strerror}", code=Code.CANNOT_SIGN) from e
        with holder:
            assert holder.stdout is not None
            pid = holder.stdout.readline().strip()
            try:
                _add(path, place)
                yield Agent(place)
            finally:
                if pid.isdigit():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGTERM)


def _add(path: Path, place: str) -> None:
    env = {**os.environ, "SSH_AUTH_SOCK": place}
    done = subprocess.run(["ssh-add", "-q", "--", str(path)], env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotRecord(
            f"ssh-add does not take the key {quote_path(path)}",
            hint="ssh-add says why; --key names another one",
            code=Code.CANNOT_SIGN,
        )


class Reader:
    """Reads numbers and texts off bytes. Raises CannotRecord if they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self) -> int:
        return int(struct.unpack(">I", self._take(4))[0])

    def text(self) -> bytes:
        return self._take(self.number())

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise CannotRecord("what ssh has written is cut off", hint="ssh-add -l", code=Code.CANNOT_SIGN)
        data, self._at = self._data[self._at : end], end
        return data


def packed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def der(raw: bytes) -> bytes:
    """An ECDSA signature, two numbers in ssh's form, as the SEQUENCE that everybody else reads."""
    reader = Reader(raw)
    body = b"".join(b"\x02" + bytes([len(number)]) + number for number in (reader.text(), reader.text()))
    return b"\x30" + (bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)])) + body
