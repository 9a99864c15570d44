"""What other tools have left of who wrote a line: git-ai's notes and Entire's trailers. Their own reports, unchecked.

git-ai keeps a note for each commit below `refs/notes/ai`: a path, then `KEY RANGES` indented under it, then `---` and
JSON with what the keys stand for. Its line numbers are those of that commit. Entire writes trailers into the commit
itself, which are about the commit as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from gitrelay.git.faults import GitError
from gitrelay.git.repository import Repository
from gitrelay.ground.text import plain
from gitrelay.protocol.record import parse_raw

_NOTES: Final = "refs/notes/ai"
_NOTE_MOST: Final = 8 << 20  # bytes
_RANGES: Final = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*")
_ENTIRE: Final = ("Entire-Attribution", "Entire-Agent", "Entire-Checkpoint")
Where = tuple[str, str, int]  # commit, path there, line there


def reports(repo: Repository, wanted: Sequence[Where]) -> dict[Where, str]:
    """What other tools say of these lines, in one line each; those of which they say nothing are missing."""
    commits = list(dict.fromkeys(commit for commit, _, _ in wanted))
    notes = {commit: of_note(data) for commit, data in _notes(repo, commits).items()}
    whole = _trailers(repo, commits)
    found = {}
    for where in wanted:
        commit, path, line = where
        said = notes.get(commit, {}).get(path, {}).get(line) or whole.get(commit)
        if said:
            found[where] = said
    return found


def _notes(repo: Repository, commits: Sequence[str]) -> dict[str, bytes]:
    if repo.ref(_NOTES) is None:
        return {}
    try:
        rows = repo.run("notes", f"--ref={_NOTES}", "list").decode("ascii", "replace").split("\n")
    except GitError:
        return {}
    blobs = {row[41:] if row[40:41] == " " else row[65:]: row.partition(" ")[0] for row in rows if row}
    there = [commit for commit in commits if commit in blobs]
    found = repo.objects([blobs[commit] for commit in there])
    return {c: blob.data for c, blob in zip(there, found, strict=True) if blob and len(blob.data) <= _NOTE_MOST}


def of_note(data: bytes) -> dict[str, dict[int, str]]:
    """path -> line -> what git-ai says of it; nothing of what is not in its form."""
    text, _, tail = data.decode("utf-8", "replace").partition("\n---\n")
    try:
        facts = json.loads(tail)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict):
        return {}
    found: dict[str, dict[int, str]] = {}
    path = ""
    for row in text.split("\n"):
        if not row.startswith("  "):
            path = _path(row)
            continue
        key, _, ranges = row.strip().partition(" ")
        said = _said(facts, key)
        if said and path and _RANGES.fullmatch(ranges):
            for first, last in (_bounds(part) for part in ranges.split(",")):
                if last - first <= 100_000:
                    found.setdefault(path, {}).update(dict.fromkeys(range(first, last + 1), said))
    return found


def _path(row: str) -> str:
    if not row.startswith('"'):
        return row
    try:
        value = json.loads(row)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _bounds(part: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    return int(first), int(last or first)


def _said(facts: Mapping[str, object], key: str) -> str:
    """`git-ai: TOOL/MODEL`, or the person whom it names itself."""
    kind, name = ("humans", key) if key.startswith("h_") else ("sessions", key.partition("::")[0])
    kind = kind if key.startswith(("h_", "s_")) else "prompts"
    group = facts.get(kind)
    one = group.get(name) if isinstance(group, dict) else None
    if not isinstance(one, dict):
        return ""
    if kind == "humans":
        return plain(f"git-ai: {one.get('author') or 'a person'}", 100)
    agent = one.get("agent_id")
    words = [agent.get("tool"), agent.get("model")] if isinstance(agent, dict) else []
    return plain("git-ai: " + "/".join(word for word in words if isinstance(word, str) and word), 100)


def _trailers(repo: Repository, commits: Sequence[str]) -> dict[str, str]:
    found = {}
    for commit, data in zip(commits, repo.objects(commits), strict=True):
        if data is None or b"\nEntire-" not in data.data:
            continue
        trailers = parse_raw(commit, data.data).trailers
        words = [trailers[key] for key in _ENTIRE if key in trailers]
        if words:
            found[commit] = plain("Entire, of the whole commit: " + ", ".join(words), 160)
    return found
