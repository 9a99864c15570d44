"""What gitrelay puts into agents' own folders, so that they know how to call it; and how that is taken away again.

Two copies of the skill serve four agents: `~/.agents/skills` is read by codex, gemini and opencode,
`~/.claude/skills` by claude (and opencode). Codex reads `$CODEX_HOME/skills` too, but a second skill of the
same name there makes 0.169 list both and load neither when it is named, so gitrelay never puts one there.

No list is kept of what was installed: each file says itself, in two lines, which version it is of, the hash
of what was written, and how many folders were made for it. A file whose hash does not fit was edited by
somebody, and is theirs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay import __version__, environment
from gitrelay.errors import CannotRecord, Code, UsageError
from gitrelay.ground.text import quote_path
from gitrelay.setup import shipped
from gitrelay.setup.shipped import digest
from gitrelay.state.files import write_whole

AGENTS: Final = ("claude", "codex", "gemini", "opencode")
_SHARING: Final = ("codex", "gemini", "opencode")  # the readers of .agents/skills
# what an agent needs that calls others; not what changes its own rules, hooks or gate
_ALLOWED: Final = (
    *(
        "answer",
        "apply",
        "blame",
        "cancel",
        "check",
        "check-again",
        "diff",
        "doctor",
        "grep",
        "help",
        "log",
        "loop",
        "ls",
        "peers",
    ),
    *("req", "res", "review", "show", "stats", "status", "tail", "wait", "why"),
)
RULE: Final = f'prefix_rule(pattern=["git", "relay", {json.dumps(_ALLOWED)}], decision="allow")'
_RULES: Final = f"""\
# gitrelay: "{__version__}"
# Lets codex run `git relay ...`, as one plain command, outside its sandbox: there .git can be written and
# a peer reaches its service. 'git relay uninstall --agent codex' removes this file.
{RULE}
"""
_VERSION = re.compile(r'^(?P<lead>  |# )gitrelay: "(?P<version>[0-9][^"]*)"\n', re.MULTILINE)
_STAMP = re.compile(r'^(?:  |# )gitrelay-stamp: "(?P<hash>[0-9a-f]{16}) (?P<made>[0-9]{1,2})"\n', re.MULTILINE)
_MAX_BYTES: Final = 1024 * 1024  # a file of ours has about 6 kB


@dataclass(frozen=True)
class Target:
    """One file of ours: `text` belongs at `path`, where `agents` read it.

    `own` is how many of the folders it is in have no other use; `top` is the root of the working tree
    for a file in one, below which no link is followed.
    """

    kind: str  # skill | rule
    agents: tuple[str, ...]
    path: Path
    text: str
    own: int
    top: Path | None = None


@dataclass(frozen=True)
class Found:
    """What is at a target: `state` is absent, current, outdated, edited, foreign or link.

    outdated: written by gitrelay, of another version; edited: by gitrelay once; foreign: by somebody else.
    """

    state: str
    version: str | None = None
    made: int = 0


@dataclass(frozen=True)
class Change:
    """What was done: installed, updated, unchanged; removed, kept, absent."""

    target: Target
    action: str


def skills(agents: Sequence[str], environ: Mapping[str, str], top: Path | None = None) -> list[Target]:
    """The skill files of `agents` in the user's own folders, or with `top` in that working tree."""
    if top is None:
        claude, shared = claude_home(environ), environment.home(environ) / ".agents"
    else:
        claude, shared = top / ".claude", top / ".agents"
    for_claude, for_others = (folder / "skills" / "relay" / "SKILL.md" for folder in (claude, shared))
    if os.path.realpath(for_claude) == os.path.realpath(for_others):  # one folder by a link: the common text
        targets = [Target("skill", AGENTS, for_others, source("agents"), 1, top)]
    else:
        targets = [
            Target("skill", ("claude",), for_claude, source("claude"), 1, top),
            Target("skill", _SHARING, for_others, source("agents"), 1, top),
        ]
    return [target for target in targets if set(target.agents) & set(agents)]


def codex_rule(environ: Mapping[str, str]) -> Target:
    """The rule that lets codex run `git relay` outside its sandbox."""
    return Target("rule", ("codex",), codex_home(environ) / "rules" / "gitrelay.rules", _RULES, 0)


def codex_double(environ: Mapping[str, str]) -> Path | None:
    """A skill named relay in codex's own folder: with the one in ~/.agents, codex loads neither."""
    path = codex_home(environ) / "skills" / "relay" / "SKILL.md"
    return path if path.exists() else None


def claude_plugin(environ: Mapping[str, str]) -> str | None:
    """The version of gitrelay's plugin that claude has installed, which brings the skill too."""
    with contextlib.suppress(OSError, ValueError, AttributeError, IndexError, KeyError, TypeError):
        known = json.loads((claude_home(environ) / "plugins" / "installed_plugins.json").read_bytes())
        for name, installed in known["plugins"].items():
            if name.partition("@")[0] == "gitrelay":
                return str(installed[0]["version"])
    return None


def claude_home(environ: Mapping[str, str]) -> Path:
    return environment.folder(environ, "CLAUDE_CONFIG_DIR", environment.home(environ) / ".claude")


def codex_home(environ: Mapping[str, str]) -> Path:
    return environment.folder(environ, "CODEX_HOME", environment.home(environ) / ".codex")


def look(target: Target) -> Found:
    """What is at the target now."""
    if _links(target):
        return Found("link")
    try:
        if not target.path.is_file():
            return Found("foreign" if os.path.lexists(target.path) else "absent")
        with target.path.open("rb") as f:
            text = f.read(_MAX_BYTES).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        return Found("foreign")
    except OSError as e:
        raise _failed("read", target.path, e) from e
    version = _VERSION.search(text)
    stamp = _STAMP.search(text)
    plain = _STAMP.sub("", text)
    said = version["version"] if version else None
    made = int(stamp["made"]) if stamp else 0
    if plain == target.text:
        return Found("current", said, made)
    if version is None:
        return Found("foreign")
    return Found("outdated" if stamp and stamp["hash"] == digest(plain.encode()) else "edited", said, made)


def install(targets: Sequence[Target], *, force: bool = False) -> list[Change]:
    """Write every target that is not current. Raises UsageError, before any is written, for one that is not ours."""
    found = [look(target) for target in targets]
    _refuse(targets, found, ("link",) if force else ("link", "edited", "foreign"))
    changes = []
    for target, old in zip(targets, found, strict=True):
        if old.state == "current":
            changes.append(Change(target, "unchanged"))
            continue
        try:
            made = max(old.made, _make_folders(target.path.parent))
            write_whole(target.path, stamped(target.text, made).encode())
        except OSError as e:
            raise _failed("write", target.path, e) from e
        changes.append(Change(target, "installed" if old.state == "absent" else "updated"))
    return changes


def uninstall(targets: Sequence[Target], *, force: bool = False) -> list[Change]:
    """Remove every target that is as gitrelay wrote it, with the folders that were made for it.

    An edited one is kept; with `force` it goes too. What gitrelay never wrote is kept in any case.
    """
    found = [look(target) for target in targets]
    _refuse(targets, found, ("link",))
    changes = []
    for target, old in zip(targets, found, strict=True):
        if old.state == "absent":
            changes.append(Change(target, "absent"))
        elif old.state == "foreign" or (old.state == "edited" and not force):
            changes.append(Change(target, "kept"))
        else:
            try:
                target.path.unlink()
            except OSError as e:
                raise _failed("remove", target.path, e) from e
            _remove_folders(target.path.parent, max(old.made, target.own))
            changes.append(Change(target, "removed"))
    return changes


def _refuse(targets: Sequence[Target], found: Sequence[Found], states: Sequence[str]) -> None:
    words = {
        "edited": "was edited since gitrelay wrote it",
        "foreign": "is not gitrelay's",
        "link": "is, or is behind, a symbolic link",
    }
    refused = [(t, f.state) for t, f in zip(targets, found, strict=True) if f.state in states]
    if not refused:
        return
    only_links = all(state == "link" for _, state in refused)
    raise UsageError(
        ", and ".join(f"{quote_path(t.path)} {words[state]}" for t, state in refused),
        hint="replace the link by a folder of its own"
        if only_links
        else "nothing was written; move it away, or overwrite it with --force",
        code=Code.SYMLINK if only_links else Code.EDITED,
    )


def _links(target: Target) -> bool:
    """Whether a link leads away from where the file belongs: in a cloned tree any may be hostile.

    In the user's own folders only the file and the folder that is ours count: a home may be made of links.
    """
    path = target.path
    if target.top is not None:
        parts = [
            path,
            *(folder for folder in path.parents if folder.is_relative_to(target.top) and folder != target.top),
        ]
    else:
        parts = [path, *([path.parent] if target.own else [])]
    return any(part.is_symlink() for part in parts)


def _make_folders(folder: Path) -> int:
    """Make the folder; returns how many were missing."""
    missing = 0
    at = folder
    while not at.exists():
        missing += 1
        at = at.parent
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_folders(folder: Path, count: int) -> None:
    """Remove up to `count` folders from `folder` upwards, as far as they are empty."""
    with contextlib.suppress(OSError):
        for _ in range(count):
            folder.rmdir()
            folder = folder.parent


def stamped(text: str, made: int) -> str:
    return _VERSION.sub(lambda m: f'{m[0]}{m["lead"]}gitrelay-stamp: "{digest(text.encode())} {made}"\n', text, count=1)


def source(name: str) -> str:
    """The skill as it is shipped."""
    return shipped.path("skills", name, "relay", "SKILL.md").read_text("utf-8")


def _failed(what: str, path: Path, error: OSError) -> CannotRecord:
    return CannotRecord(
        f"cannot {what} {quote_path(path)}: {error.strerror}", hint="check who owns it", code=Code.CANNOT_WRITE
    )
