"""The entry by which an agent starts `git relay mcp`, in its own settings; and how it is taken out again.

The settings are the agent's and the user's: one entry is put in, and no other byte is changed. The entry says itself
what gitrelay wrote (version, a hash of it, what was written around it, whether the file was made for it), so that an
edit is noticed and `uninstall` gives the file back as it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gitrelay import __version__, environment
from gitrelay.errors import CannotRecord, Code, UsageError
from gitrelay.ground.text import quote_path
from gitrelay.ground.value import dataclass
from gitrelay.setup import jsontext
from gitrelay.setup.shipped import digest
from gitrelay.setup.skills import Change, Target, claude_home, codex_home

NAME: Final = "relay"  # of the entry: tools are called mcp__relay__relay_call and the like
_LIMIT: Final = 300  # seconds for a tool call, which waits 280 at most
_STAMP: Final = "GITRELAY_ENTRY"
_PARENT: Final = {"claude": "mcpServers", "gemini": "mcpServers", "opencode": "mcp"}
# codex starts a server with none of its variables but those that are named: where agents have their settings and how
# they reach their services, how commits are signed, and what tells gitrelay of the call that it runs in
_VARIABLES: Final = (
    *("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "GEMINI_API_KEY"),
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME"),
    *("GITRELAY_ACCESS", "GITRELAY_CALL", "GITRELAY_CHAIN", "GITRELAY_DEPTH"),
)
_BLOCK = re.compile(
    r'^# gitrelay: "(?P<version>[^"\n]*)"[^\n]*\n# gitrelay-stamp: "(?P<hash>[0-9a-f]{16}) (?P<before>[0-2]) '
    r'(?P<made>-?[0-9]{1,2})"\n(?P<body>\[mcp_servers\.relay\]\n(?:(?!\[)[^\n]+\n)*)',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Seen:
    """An agent's entry as it is: `state` is absent, current, outdated, edited, foreign or unreadable.

    `before` and `behind` are how many characters gitrelay wrote around it, `mark` is a hash of them; `made` is how
    many folders it made, -1 if the file was there.
    """

    state: str
    text: str = ""
    before: int = 0
    behind: int = 0
    made: int = -1
    mark: str = ""
    program: str = ""
    why: str = ""


def place(agent: str, environ: Mapping[str, str]) -> Path:
    """The file of the agent's settings that are the user's own."""
    home = environment.home(environ)
    if agent == "claude":
        return (claude_home(environ) if environ.get("CLAUDE_CONFIG_DIR", "").strip() else home) / ".claude.json"
    if agent == "codex":
        return codex_home(environ) / "config.toml"
    if agent == "gemini":
        return home / ".gemini" / "settings.json"
    folder = environment.folder(environ, "XDG_CONFIG_HOME", home / ".config") / "opencode"
    commented = folder / "opencode.jsonc"
    return commented if commented.exists() else folder / "opencode.json"


def entry(agent: str, program: str, access: str | None) -> dict[str, Any]:
    """What the agent is to start, as its settings have it; `program` is the path of git-relay."""
    words = ["mcp", *(["--max-access", access] if access else [])]
    if agent == "codex":
        return {
            "command": program,
            "args": words,
            "env_vars": list(_VARIABLES),
            "default_tools_approval_mode": "approve",  # or `codex exec` refuses every call
            "tool_timeout_sec": _LIMIT,
        }
    if agent == "opencode":
        return {"type": "local", "command": [program, *words], "enabled": True, "timeout": _LIMIT * 1000}
    first = {"type": "stdio"} if agent == "claude" else {}
    return {**first, "command": program, "args": words, "timeout": _LIMIT * 1000}


def program(environ: Mapping[str, str]) -> str:
    """The path of git-relay for a host, which may be started without the user's PATH. Raises UsageError."""
    beside = Path(sys.executable).parent / "git-relay"
    found = shutil.which("git-relay", path=environ.get("PATH")) or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise UsageError("git-relay is not on PATH", hint="uv tool install gitrelay-cli", code=Code.BROKEN)
    return os.path.abspath(found)


def look(agent: str, environ: Mapping[str, str], wanted: Mapping[str, Any] | None = None) -> Seen:
    """The agent's entry as it is now; current if it is what `wanted` says. Raises CannotRecord."""
    path = place(agent, environ)
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return Seen("absent", made=0)
    except (UnicodeDecodeError, OSError) as e:
        return Seen("unreadable", why=getattr(e, "strerror", None) or "not UTF-8")
    try:
        return _in_toml(text, wanted) if agent == "codex" else _in_json(text, _PARENT[agent], wanted)
    except (ValueError, RecursionError) as e:
        return Seen("unreadable", text, why=str(e))


def install(agents: Sequence[str], environ: Mapping[str, str], access: str | None, *, force: bool) -> list[Change]:
    """Put the entry into the settings of each agent. Raises UsageError, before any is written, for one not ours."""
    path = program(environ)
    wanted = {agent: entry(agent, path, access) for agent in agents}
    seen = {agent: look(agent, environ, wanted[agent]) for agent in agents}
    bad = ("unreadable",) if force else ("unreadable", "edited", "foreign")
    for agent, one in seen.items():
        if one.state in bad:
            why = {"edited": "was edited since gitrelay wrote it", "foreign": "is not gitrelay's"}
            where = quote_path(place(agent, environ))
            raise UsageError(
                f"{where} cannot be read: {one.why}"
                if one.state == "unreadable"
                else f"the entry {NAME} in {where} {why[one.state]}",
                hint="nothing was written; correct the file first"
                if one.state == "unreadable"
                else "nothing was written; remove it, or overwrite it with --force",
                code=Code.EDITED,
            )
    changes = []
    for agent in agents:
        one, target = seen[agent], _target(agent, environ)
        if one.state != "current":
            made = one.made if one.state != "absent" else _folders(target.path.parent) if one.made == 0 else -1
            text = _without(agent, one) if one.state != "absent" else one.text or _read(target.path)
            _write(target.path, _with(agent, text, wanted[agent], made))
        changes.append(Change(target, {"absent": "installed", "current": "unchanged"}.get(one.state, "updated")))
    return changes


def uninstall(agents: Sequence[str], environ: Mapping[str, str], *, force: bool) -> list[Change]:
    """Take the entry out of the settings of each agent; an edited one is kept unless `force` is given."""
    changes = []
    for agent in agents:
        one, target = look(agent, environ), _target(agent, environ)
        if one.state in ("absent", "foreign", "unreadable"):
            continue
        if one.state == "edited" and not force:
            changes.append(Change(target, "kept"))
            continue
        text = _without(agent, one)
        if one.made >= 0 and not text.strip():
            target.path.unlink()
            with contextlib.suppress(OSError):
                for folder in list(target.path.parents)[: one.made]:
                    folder.rmdir()
        else:
            _write(target.path, text)
        changes.append(Change(target, "removed"))
    return changes


def _target(agent: str, environ: Mapping[str, str]) -> Target:
    return Target("mcp", (agent,), place(agent, environ), "", 0)


# -- the two formats -------------------------------------------------------------------------------


def _in_json(text: str, parent: str, wanted: Mapping[str, Any] | None) -> Seen:
    member, _ = jsontext.find(text, parent, NAME)
    if member is None:
        return Seen("absent", text)
    try:
        value = jsontext.value_of(text, member)
        stamp = next(value[key][_STAMP] for key in ("env", "environment") if _STAMP in value.get(key, {}))
        _, hash_, before, behind, mark, made = stamp.split()
        found = Seen("current", text, int(before), int(behind), int(made), mark=mark)
    except (ValueError, AttributeError, TypeError, StopIteration):
        return Seen("foreign", text)
    own = _unstamped(value)
    command = own.get("command")
    program_ = str(command[0] if isinstance(command, list) and command else command)
    same = wanted is None or own == wanted
    state = "edited" if _mark(_canonical(own)) != hash_ else "current" if same else "outdated"
    return replace(found, state=state, program=program_)


def _in_toml(text: str, wanted: Mapping[str, Any] | None) -> Seen:
    servers = tomllib.loads(text).get("mcp_servers", {})
    if not isinstance(servers, dict):
        raise ValueError("mcp_servers is not a table")
    if NAME not in servers:
        return Seen("absent", text)
    found = _BLOCK.search(text)
    if found is None:
        return Seen("foreign", text)
    own = servers[NAME]
    same = wanted is None or own == wanted
    state = "edited" if _mark(found["body"]) != found["hash"] else "current" if same else "outdated"
    return Seen(state, text, int(found["before"]), 0, int(found["made"]), program=str(own.get("command")))


def _with(agent: str, text: str, wanted: Mapping[str, Any], made: int) -> str:
    if agent == "codex":
        body = "[mcp_servers.relay]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in wanted.items())
        before = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        how = "'git relay uninstall --agent codex' removes this entry"
        stamp = (
            f'# gitrelay: "{__version__}": {how}\n# gitrelay-stamp: "{digest(body.encode())} {len(before)} {made}"\n'
        )
        found = text + before + stamp + body
        tomllib.loads(found)
        return found
    variables = "environment" if agent == "opencode" else "env"
    around = "0 0 -"
    for _ in range(2):  # the first time to learn what is written around it
        stamp = f"{__version__} {_mark(_canonical(wanted))} {around} {made}"
        put = jsontext.insert(text, _PARENT[agent], NAME, {**wanted, variables: {_STAMP: stamp}})
        around = f"{len(put.before)} {len(put.behind)} {put.mark}"
    return put.text


def _without(agent: str, seen: Seen) -> str:
    """The text without the entry. Raises UsageError if it cannot be taken out."""
    if agent != "codex":
        return jsontext.remove(seen.text, _PARENT[agent], NAME, seen.before, seen.behind, seen.mark)
    found = _BLOCK.search(seen.text)
    if found is None:
        raise UsageError(
            f"the table mcp_servers.{NAME} is not gitrelay's", hint="remove it by hand", code=Code.NOT_OURS
        )
    start = found.start() - seen.before
    if seen.text[max(0, start) : found.start()].strip("\n") or start < 0:
        start = found.start()
    return seen.text[:start] + seen.text[found.end() :]


def _unstamped(value: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without its stamp, and without the table that was made for the stamp."""
    own = dict(value)
    for key in ("env", "environment"):
        if isinstance(own.get(key), dict):
            own[key] = {name: one for name, one in own[key].items() if name != _STAMP}
            if not own[key]:
                del own[key]
    return own


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _mark(text: str) -> str:
    return digest(text.encode())


# -- files -----------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    return path.read_bytes().decode() if path.exists() else ""


def _folders(folder: Path) -> int:
    """How many folders are missing for a file in `folder`."""
    missing = 0
    while not folder.exists():
        missing, folder = missing + 1, folder.parent
    return missing


def _write(path: Path, text: str) -> None:
    """Put `text` at `path`, or where a link there leads, whole and with the permissions it had. Raises CannotRecord."""
    real = Path(os.path.realpath(path))
    temporary = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = real.stat().st_mode & 0o777 if real.exists() else 0o600  # settings may hold keys
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(text.encode())
            os.fchmod(f.fileno(), mode)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, real)
    except OSError as e:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CannotRecord(
            f"cannot write {quote_path(path)}: {e.strerror}", hint="check who owns it", code=Code.CANNOT_WRITE
        ) from e
