"""The earlier turns of a session inside a prompt, for programs whose file tools refuse what git ignores."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gitrelay.peers.base import Invocation

_SESSION: Final = re.compile(r"^Reply: (\.relay/[a-z0-9-]+)/([a-z0-9-]+)\.res\.md\nContext: ", re.MULTILINE)
_TURNS_MAX: Final = 512 * 1024  # characters of earlier turns in a prompt; what is older is left out, and said to be


def turns_in_prompt(call: Invocation) -> str:
    """The earlier turns that the peer's conversation does not hold, each under its file's name."""
    found = _SESSION.findall(call.prompt)
    if not found:
        return ""
    folder, turn = found[-1]
    # a one-shot's first turn has the one-shot's name, the later ones are numbers
    files = sorted((call.cwd / folder).glob("*.re[qs].md"), key=lambda p: (_id(p).isdigit(), len(p.name), p.name))
    known = (f"{turn}.req.md", f"{turn}.res.md")
    wanted = [
        path
        for path in files
        if path.name not in known and (not call.resume or any(path.match(pattern) for pattern in call.unseen))
    ]
    parts: list[str] = []
    left = _TURNS_MAX
    for path in reversed(wanted):
        text = "" if path.is_symlink() else path.read_text("utf-8", "replace")
        left -= len(text)
        if left < 0:
            parts.append("(Earlier turns are left out.)\n")
            break
        parts.append(f"<turn file={path.name}>\n{text}</turn>\n")
    if not parts:
        return ""
    return "The turns of the session that are new to you; do not look for files:\n" + "".join(reversed(parts)) + "\n"


def _id(path: Path) -> str:
    return path.name.partition(".")[0]
