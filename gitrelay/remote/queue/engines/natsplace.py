"""Where a NATS server is, which queue of it a remote uses, and who we are there.

What opens the server comes from a file that a setting names, from the URL or from the variables that NATS's own tools
read. None of it is ever shown.
"""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote, quote_path
from gitrelay.ground.value import dataclass
from gitrelay.remote.queue import trust

PORT: Final = 4222
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)
_SEED: Final = re.compile(r"SU[A-Z2-7]{40,80}", re.ASCII)  # of an NKey of a user
_USER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)  # one that can be part of a subject
_LARGEST: Final = 65536  # bytes of a file of credentials
_SHAPE: Final = "nats://HOST:PORT/NAME, or tls://HOST:PORT/NAME"
_VARIABLES: Final = ("NATS_CREDS", "NATS_NKEY", "NATS_TOKEN", "NATS_USER", "NATS_PASSWORD")


@dataclass(frozen=True)
class Credentials:
    """Who we are: a user with a password, the seed of an NKey, a token, or the path of a .creds file; '' for none."""

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    seed: str = dataclasses.field(default="", repr=False)
    token: str = dataclasses.field(default="", repr=False)
    creds: str = ""


@dataclass(frozen=True)
class Place:
    """A queue on a server. `ca` is the path of a file of certificates to trust, '' for those of this machine.

    `cert` and `key` are the paths of our own certificate and its key, '' for none.
    """

    host: str
    port: int
    tls: bool
    name: str
    who: Credentials
    ca: str = ""
    cert: str = ""
    key: str = ""

    @property
    def url(self) -> str:
        """What to connect to; it holds no secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'nats'}://{host}:{self.port}"

    @property
    def shown(self) -> str:
        return f"{self.url}/{self.name}"


def shown(value: str) -> str:
    """An address as it may be shown: what comes before an @ is a password, or may be."""
    return re.sub(r"//.*@", "//***@", value, flags=re.DOTALL)


def of_setting(repo: Repository, remote: str, environ: Mapping[str, str] | None = None) -> Place:
    """The place that `relay.<remote>.queue` names. Raises UsageError, which shows no secret.

    Without a NAME the queue is called after the repository (`trust.repository_id`).
    """
    environ = os.environ if environ is None else environ
    key = f"relay.{remote}.queue"
    value, where = repo.config[key][-1]
    host, port, name, user, password = _parts(value, f"{key} {quote(shown(value))} in {where}")
    name = name or trust.repository_id(repo)[:12]
    file = _path(repo, f"relay.{remote}.queuecredentials")
    if file is not None:
        who = _of_file(file)
    elif user:
        who = Credentials(user=user, password=password) if password else Credentials(token=user)
    else:
        who = _of_environment(environ)
    ca = _path(repo, f"relay.{remote}.queueca")
    return Place(
        host,
        port,
        value.lower().startswith("tls:"),
        name,
        who,
        environ.get("NATS_CA", "") if ca is None else str(ca),
        environ.get("NATS_CERT", ""),
        environ.get("NATS_KEY", ""),
    )


def _parts(value: str, what: str) -> tuple[str, int, str, str, str]:
    """(host, port, name, user, password) of the URL `value`; `what` names it in an error."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", PORT if parts.port is None else parts.port
    except ValueError as e:
        raise UsageError(f"{what} is no address", hint=_SHAPE, code=Code.BAD_CONFIG) from e
    name = parts.path.removeprefix("/")
    if _HOST.fullmatch(host) is None or not 0 < port < 65536 or parts.query or parts.fragment:
        raise UsageError(f"{what} is no address", hint=_SHAPE, code=Code.BAD_CONFIG)
    if name and _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{what}: the name of a queue has letters, digits, '-' and '_'", hint=_SHAPE, code=Code.BAD_CONFIG
        )
    return host, port, name, unquote(parts.username or ""), unquote(parts.password or "")


def _path(repo: Repository, key: str) -> Path | None:
    """The file that the setting `key` names, outside of the working tree, which anybody's commit can fill."""
    values = repo.config.get(key)
    if not values:
        return None
    value, where = values[-1]
    path = Path(value).expanduser()
    what = f"{key} {quote(value)} in {where}"
    if not path.is_absolute() or not path.is_file():
        raise UsageError(f"{what} is no file", hint="it is the absolute path of a file", code=Code.BAD_CONFIG)
    if repo.top is not None and path.resolve().is_relative_to(repo.top.resolve()):
        raise UsageError(f"{what} lies in the working tree", hint="keep it outside", code=Code.BAD_CONFIG)
    return path


def _of_file(path: Path) -> Credentials:
    """What a file says: a .creds file, the seed of an NKey, or USER:PASSWORD. Raises UsageError."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{quote_path(path)} can be read by others", hint=f"chmod 600 {path}", code=Code.BAD_CONFIG)
    try:
        text = path.read_bytes()[:_LARGEST].decode()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{quote_path(path)} cannot be read as text", code=Code.BAD_CONFIG) from e
    if "-----BEGIN NATS USER JWT-----" in text:
        return Credentials(creds=str(path))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and _SEED.fullmatch(lines[0]):
        return Credentials(seed=lines[0])
    user, colon, password = lines[0].partition(":") if len(lines) == 1 else ("", "", "")
    if user and colon and password:
        return Credentials(user=user, password=password)
    raise UsageError(
        f"{quote_path(path)} holds no credentials for NATS",
        hint="it is a .creds file, the seed of an NKey (SU...), or USER:PASSWORD",
        code=Code.BAD_CONFIG,
    )


def _of_environment(environ: Mapping[str, str]) -> Credentials:
    """What the variables of NATS's own tools say; a file that one names is read as one that a setting names."""
    file = environ.get("NATS_CREDS") or environ.get("NATS_NKEY")
    if file:
        return _of_file(Path(file).expanduser())
    if environ.get("NATS_TOKEN"):
        return Credentials(token=environ["NATS_TOKEN"])
    if environ.get("NATS_USER") and environ.get("NATS_PASSWORD"):
        return Credentials(user=environ["NATS_USER"], password=environ["NATS_PASSWORD"])
    return Credentials()


def forget_secrets() -> None:
    """Take the secrets out of the environment, so that no peer that is started here gets them."""
    for name in _VARIABLES:
        os.environ.pop(name, None)


def inbox(who: Credentials) -> str:
    """The prefix of the subjects on which answers to us come; users who share one could read one another's."""
    if who.seed:
        import nkeys

        return f"_INBOX_{nkeys.from_seed(who.seed.encode()).public_key.decode()}"
    return f"_INBOX_{who.user}" if _USER.fullmatch(who.user) else "_INBOX"
