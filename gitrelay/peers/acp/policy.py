"""What an agent that asks for permission is told, by the access of the call. Pure, but for paths that are resolved.

read: look only. write: edits and commands inside the working tree. full: everything. It is a policy and no sandbox: an
agent may not ask, and a command that it runs may do anything. What happened is compared afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gitrelay.peers.events import text_of

LOOKING: Final = frozenset({"read", "search", "fetch", "think"})
_SWITCH: Final = "switch_mode"
_PATHS: Final = frozenset(
    {"path", "file", "file_path", "filepath", "absolute_path", "notebook_path", "cwd", "workdir", "directory", "dir"}
)
_COMMANDS: Final = ("command", "commands", "cmd", "script")
_DEPTH: Final = 6
_PLACES: Final = 200  # paths of one request that are looked at


def allows(access: str, call: Mapping[str, Any], cwd: Path, start: Path | None = None) -> bool:
    """Whether the tool call, as the agent describes it, is allowed.

    `cwd` is the working tree, `start` the folder of it that the agent's relative paths begin at, if that is another.
    """
    if access == "full":
        return True
    kind = text_of(call, "kind") or "other"
    if access == "read":
        given = call.get("rawInput")
        runs = isinstance(given, dict) and any(key in given for key in _COMMANDS)
        return kind in LOOKING and not runs and not _diffs(call)
    return kind != _SWITCH and all(_is_inside(place, cwd, start or cwd) for place in _places(call))


def option(options: object, allowed: bool) -> str | None:
    """The id of the option to choose, None if none fits: for this once, so that nothing is remembered by the agent."""
    wanted = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
    found = [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []
    for kind in wanted:
        for one in found:
            if one.get("kind") == kind and isinstance(one.get("optionId"), str):
                return str(one["optionId"])
    return None


def _diffs(call: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = call.get("content")
    found = content if isinstance(content, list) else []
    return [one for one in found if isinstance(one, dict) and one.get("type") == "diff"]


def _places(call: Mapping[str, Any]) -> list[str]:
    """The paths that the tool call names; too many of them count as one outside."""
    found: list[str] = []
    locations = call.get("locations")
    for one in [*(locations if isinstance(locations, list) else []), *_diffs(call)]:
        if (path := text_of(one, "path")) is not None:
            found.append(path)
    for path in _inside(call.get("rawInput"), 0):
        found.append(path)
        if len(found) > _PLACES:
            return [os.sep]
    return found


def _inside(value: object, depth: int) -> Iterator[str]:
    if depth > _DEPTH:
        yield os.sep
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and str(key).lower().replace("-", "_") in _PATHS:
                yield item
            else:
                yield from _inside(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _inside(item, depth + 1)


def _is_inside(place: str, cwd: Path, start: Path) -> bool:
    """Whether the path leads to a place in the working tree, links followed, and not into its `.git`."""
    if "\0" in place:
        return False
    place = place.removeprefix("file://")
    try:
        top = cwd.resolve()
        real = Path(os.path.realpath(start / os.path.expanduser(place)))
        return real == top or (real.is_relative_to(top) and ".git" not in real.relative_to(top).parts)
    except (OSError, ValueError, RuntimeError):
        return False
