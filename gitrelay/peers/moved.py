"""What an agent keeps by the path of a project, and what it is told so that it finds it from a workspace.

Seen with codex 0.169.0 and claude 2.1.329. Only what the user has set up for their own tree is handed on.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from gitrelay import environment
from gitrelay.errors import UsageError
from gitrelay.peers.base import Invocation


def for_codex(call: Invocation) -> list[str]:
    """Trust for the workspace, without which codex does not read the project's `.codex/config.toml`.

    Only if the user trusts the tree that it stands for. The dotted form of the setting is not read.
    """
    home = _folder("CODEX_HOME", ".codex")
    if call.instead_of is None or home is None:
        return []
    import tomllib  # a parser that most calls need not load

    try:
        projects = tomllib.loads((home / "config.toml").read_text("utf-8")).get("projects", {})
        trust = projects[str(call.instead_of)]["trust_level"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return ["-c", f'projects={{{json.dumps(str(call.cwd))}={{trust_level="trusted"}}}}'] if trust == "trusted" else []


def for_claude(call: Invocation) -> list[str]:
    """The options for the memory of the tree that the workspace is a copy of; none without a memory, or if `alone`."""
    home = _folder("CLAUDE_CONFIG_DIR", ".claude")
    if call.instead_of is None or call.alone or home is None:
        return []
    memory = home / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(call.instead_of)) / "memory"
    return ["--settings", json.dumps({"autoMemoryDirectory": str(memory)})] if memory.is_dir() else []


def _folder(variable: str, name: str) -> Path | None:
    try:
        return environment.folder(os.environ, variable, environment.home(os.environ) / name)
    except UsageError:
        return None
