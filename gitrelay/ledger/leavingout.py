"""What a recorded tree leaves out by rule: files that are too large, that the user excludes, that hold a secret.

A secret is looked for in files that git does not know yet: what is tracked is in the repository already.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from gitrelay.errors import Code, UsageError
from gitrelay.git.indexing import LeftOut
from gitrelay.git.repository import Repository
from gitrelay.git.userfiles import Changed
from gitrelay.ground.text import quote
from gitrelay.ground.value import dataclass

MAX: Final = 50_000_000  # bytes of one file
_SIZES: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_LOOKED_AT: Final = 1_000_000  # bytes of one file that are looked at for a secret
_LOOKED_AT_ALL: Final = 8_000_000  # and of all files of a snapshot
# names that by convention hold credentials and nothing else
_SECRET_NAMES: Final = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".git-credentials", ".htpasswd",
    ".dockercfg", ".npmrc", ".pypirc", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx",
    "*.jks", "*.keystore", "*.kdbx", "*.ppk", "credentials", "credentials.json", "service-account*.json", "kubeconfig",
    "secrets.yml", "secrets.yaml", "secrets.json", "secrets.toml", "*.tfvars", "*.tfstate",
)  # fmt: skip
_NO_SECRETS: Final = (".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", "*.example")


def size_limit(repo: Repository) -> int | None:
    """`relay.snapshotMax` in bytes, None for none. Raises UsageError."""
    text = repo.setting("relay.snapshotmax")
    if text is None:
        return MAX
    if text.strip().lower() == "none":
        return None
    match = re.fullmatch(r"([0-9]{1,12})\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise UsageError(
            f"relay.snapshotMax {quote(text)} is not a size", hint="as 50MB, 2GB or none", code=Code.BAD_CONFIG
        )
    return int(match[1]) * _SIZES[match[2]]


@dataclass(frozen=True)
class Rules:
    """`limit` in bytes, None for none; `patterns` of the user's, of which the last that fits counts."""

    limit: int | None
    patterns: tuple[str, ...]

    @classmethod
    def of(cls, repo: Repository) -> Rules:
        """A size that is none counts as the default: a call that has begun must not fail by it."""
        try:
            limit = size_limit(repo)
        except UsageError:
            limit = MAX
        return cls(limit, tuple(value for value, _ in repo.config.get("relay.snapshotexclude", [])))

    def wanted(self, path: str) -> bool | None:
        """Whether the user wants `path` in or out; None if no pattern speaks of it."""
        found = None
        for pattern in self.patterns:
            out = not pattern.startswith("!")
            if _fits(path, pattern.removeprefix("!").removeprefix("/")):
                found = not out
        return found


def _fits(path: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return f"/{path}".find(f"/{pattern}") >= 0
    if "/" in pattern:
        return fnmatch.fnmatchcase(path, pattern) or path.startswith(f"{pattern}/")
    return any(fnmatch.fnmatchcase(part, pattern) for part in path.split("/"))


def left_out(repo: Repository, changed: Sequence[Changed], kept: str | None) -> list[LeftOut]:
    """Those of `changed` that the rules leave out; what the tree `kept` holds already is not looked at again."""
    assert repo.top is not None
    rules = Rules.of(repo)
    found, unknown = [], []
    for one in changed:
        if not one.read:
            continue
        name = os.fsdecode(one.path)
        wanted = rules.wanted(name)
        try:
            info = os.lstat(os.path.join(os.fsencode(repo.top), one.path))
        except OSError:
            continue
        if wanted is False:
            found.append(LeftOut(one.path, "relay.snapshotExclude"))
        elif stat.S_ISREG(info.st_mode) and rules.limit is not None and info.st_size > rules.limit:
            found.append(LeftOut(one.path, f"{info.st_size / 1e6:.0f} MB, above relay.snapshotMax"))
        elif one.entry is None and wanted is None and stat.S_ISREG(info.st_mode):
            unknown.append((one.path, info.st_size))
    return [*found, *_secrets(repo, unknown, kept)]


def _secrets(repo: Repository, files: Sequence[tuple[bytes, int]], kept: str | None) -> Iterator[LeftOut]:
    """Those of the untracked `files` (path, size) that look like secrets."""
    assert repo.top is not None
    known = _known(repo, [path for path, _ in files], kept)
    redactor = None
    rest = _LOOKED_AT_ALL
    for path, size in files:
        if _is_secret_name(os.fsdecode(path)):
            yield LeftOut(path, "a secret, by its name")
            continue
        if size > _LOOKED_AT or size > rest:
            continue
        try:
            # a peer may have put a pipe or a link there since: neither is waited for nor followed
            at = os.open(os.path.join(os.fsencode(repo.top), path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(at, "rb") as f:
                data = f.read(_LOOKED_AT)
        except OSError:
            continue  # git says why
        rest -= len(data)
        if b"\0" in data[:8000] or known.get(path) == repo.object_id("blob", data):
            continue
        if redactor is None:
            from gitrelay.ledger import redaction

            redactor = redaction.redactor(repo)
        spans = redactor.find(data.decode("utf-8", "replace"))
        if spans:
            yield LeftOut(path, f"a secret in it ({spans[0].rule})")


def _is_secret_name(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in _NO_SECRETS):
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _SECRET_NAMES)


def _known(repo: Repository, paths: Sequence[bytes], kept: str | None) -> dict[bytes, str]:
    """path -> its blob in the tree `kept`, of those that are in there."""
    wanted = [path for path in paths if b"\n" not in path] if kept is not None else []
    if not wanted:
        return {}
    stdin = b"".join(f"{kept}:".encode() + path + b"\n" for path in wanted)
    out = repo.run("cat-file", "--batch-check=%(objectname)", stdin=stdin).split(b"\n")
    width = len(repo.no_object)
    return {path: line.decode() for path, line in zip(wanted, out, strict=False) if len(line) == width}
