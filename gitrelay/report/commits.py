"""Where the commits of a repository can be looked at: `relay.commitUrl`, or guessed from the address of `origin`.

Only known code hosts are guessed. What git knows of a remote may hold a password: of its address only the host and the
path are used.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import quote
from gitrelay.protocol import names

SETTING: Final = "relay.commitUrl"
NEVER: Final = "never"
COMMIT: Final = "{commit}"
_GIT_COMMIT: Final = "%H"  # as git's own formats have it
_MAX: Final = 2000  # characters
_HINT: Final = f"git config {SETTING} 'https://HOST/OWNER/REPO/commit/{COMMIT}', or {NEVER}"

# host -> (what it calls itself, the path of a commit below that of the repository)
_HOSTS: Final = {
    "github.com": ("github.com", "/commit/"),
    "www.github.com": ("github.com", "/commit/"),
    "ssh.github.com": ("github.com", "/commit/"),
    "gitlab.com": ("gitlab.com", "/-/commit/"),
    "altssh.gitlab.com": ("gitlab.com", "/-/commit/"),
    "codeberg.org": ("codeberg.org", "/commit/"),
    "bitbucket.org": ("bitbucket.org", "/commits/"),
    "altssh.bitbucket.org": ("bitbucket.org", "/commits/"),
}
_SCHEMES: Final = ("https", "http", "ssh", "git", "git+ssh", "ssh+git")
_SCP: Final = re.compile(r"(?:[^@:/\s]+@)?([A-Za-z0-9.-]+):(?!//)(.+)")
_PATH: Final = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+){1,20}")


def template(repo: Repository) -> str:
    """The address of a commit with `{commit}` in it, empty if there is none. Raises UsageError for a bad setting."""
    values = repo.config.get("relay.commiturl")
    if values:
        value, where = values[-1]
        return "" if value.lower() == NEVER else checked(value, where)
    return guessed(repo.setting("remote.origin.url") or "")


def href(template: str, commit: str) -> str:
    """The address of a commit, empty if there is none: `template` is one of this module."""
    return template.replace(COMMIT, commit) if template and names.is_object_id(commit) else ""


def guessed(remote: str) -> str:
    """The template for a repository at `remote`, empty if its host is not a known one."""
    found = _SCP.fullmatch(remote) if "://" not in remote else None
    if found:
        host, path = found[1], found[2]
    else:
        try:
            parts = urlsplit(remote)
            host, path = (parts.hostname or "", parts.path) if parts.scheme.lower() in _SCHEMES else ("", "")
        except ValueError:
            return ""
    known, path = _HOSTS.get(host.lower()), path.strip("/").removesuffix(".git")
    if known is None or not _PATH.fullmatch(path) or not all(part.strip(".") for part in path.split("/")):
        return ""
    return f"https://{known[0]}/{path}{known[1]}{COMMIT}"


def checked(value: str, where: str) -> str:
    """The setting as a template. Raises UsageError with what is wrong."""
    shown, wrong = value, ""
    address = value.replace(_GIT_COMMIT, COMMIT)
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for a bad one
        if "@" in parts.netloc:
            shown = value.replace(parts.netloc.rpartition("@")[0], "...")
            wrong = "it holds a user's name or a password"
        elif parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            wrong = "it is no address that begins with https:// or http://"
        elif COMMIT in parts.netloc:
            wrong = "a commit is no host"
    except ValueError:
        wrong = "it is no address"
    if not wrong and (len(value) > _MAX or not value.isascii() or re.search(r"[\x00-\x20\x7f\"'<>\\^`|]", value)):
        wrong = "an address has no such characters, or is shorter"
    if not wrong and COMMIT not in address:
        wrong = f"it does not say where the commit goes, as {COMMIT}"
    if wrong:
        raise UsageError(f"{SETTING} in {where} is {quote(shown)}: {wrong}", hint=_HINT, code=Code.BAD_CONFIG)
    return address
