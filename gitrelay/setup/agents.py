"""What agents need in order to call: the program on their PATH, the manual, codex's rule, the skill and the server.

Each function gives rows of `doctor`; none changes anything.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gitrelay import __version__, environment
from gitrelay.ground.text import quote_path
from gitrelay.setup import hosts, manual, skills
from gitrelay.setup.finding import Finding

_SHELL_LIMIT: Final = 20.0  # seconds for a login shell and the user's profile


def rows(environ: Mapping[str, str], top: Path | None, peers: Mapping[str, bool]) -> Iterator[Finding]:
    """Every row about agents; `peers`: name -> whether its program is usable; `top` is the tree."""
    agents = {name for name in skills.AGENTS if peers.get(name) or shutil.which(name, path=environ.get("PATH"))}
    yield _own_program(environ)
    yield from _manual(environ)
    if "codex" in agents:
        yield _login_shell(environ, sorted(peers))
        yield _rule(environ)
    yield from _skills(environ, top, agents)
    yield from _entries(environ)


def _own_program(environ: Mapping[str, str]) -> Finding:
    path = shutil.which("git-relay", path=environ.get("PATH"))
    if path is None:
        return Finding("git relay", "warn", "git does not find git-relay on PATH", "uv tool install gitrelay-cli")
    return Finding("git relay", "ok", path)


def _manual(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A row for the page that `git relay --help` opens; none if this machine has no man."""
    if shutil.which("man", path=environ.get("PATH")) is None:
        return
    path = manual.found(environ)
    if path is None:
        yield Finding("man page", "warn", "'git relay --help' finds no page", "git relay install")
    else:
        yield Finding("man page", "ok", path)


def _login_shell(environ: Mapping[str, str], found: list[str]) -> Finding:
    """Codex runs commands in a login shell, whose profile sets its own PATH."""
    check = "codex's shell"
    shell = _users_shell()
    here = environ.get("PATH")
    wanted = {name: path for name in ("git-relay", *found, "node") if (path := shutil.which(name, path=here))}
    script = (
        f'for name in {shlex.join(wanted)}; do command -v "$name" >/dev/null || echo "gitrelay-missing:$name"; done'
    )
    try:
        done = subprocess.run(
            [shell, "-lc", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=_SHELL_LIMIT,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Finding(check, "warn", f"'{shell} -lc' does not end", "look at your shell's profile")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    missing = [line.partition(":")[2] for line in lines if line.startswith("gitrelay-missing:")]
    if not missing:
        return Finding(check, "ok", f"'{os.path.basename(shell)} -lc' finds {', '.join(wanted)}")
    folders = ":".join(dict.fromkeys(os.path.dirname(wanted[name]) for name in missing if name in wanted))
    profiles = {"zsh": [".zprofile"], "sh": [".profile"]}.get(
        os.path.basename(shell), [".bash_profile", ".bash_login", ".profile"]
    )
    home = environment.home(environ)
    profile = next((name for name in profiles if (home / name).exists()), profiles[-1])  # bash reads the first
    return Finding(
        check,
        "warn",
        f"'{os.path.basename(shell)} -lc', in which codex runs commands, does not find {', '.join(missing)}",
        f"echo 'export PATH=\"{folders}:$PATH\"' >> ~/{profile}",
    )


def _users_shell() -> str:
    """The shell of the user's account, as codex takes it; bash if codex does not know it."""
    import pwd

    with contextlib.suppress(KeyError):  # a user id without an account, as containers have
        shell = pwd.getpwuid(os.getuid()).pw_shell
        if os.path.basename(shell) in ("bash", "zsh", "sh"):
            return shell
    return "bash"


def _rule(environ: Mapping[str, str]) -> Finding:
    rule = skills.codex_rule(environ)
    state = skills.look(rule).state
    if state == "current":
        return Finding("codex's rule", "ok", str(rule.path))
    what = {"absent": "codex cannot call anybody from inside its sandbox", "outdated": f"{rule.path} is outdated"}
    return Finding(
        "codex's rule",
        "warn",
        what.get(state, f"{rule.path} is not as gitrelay wrote it"),
        "git relay install --agent codex --allow-codex" + ("" if state in what else " --force"),
    )


def _entries(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A row for each agent whose settings start the server, or have something else under its name."""
    for agent in skills.AGENTS:
        seen, where = hosts.look(agent, environ), hosts.place(agent, environ)
        check, again = f"mcp for {agent}", f"git relay install --mcp --agent {agent}"
        if seen.state == "absent":
            continue
        if seen.state == "unreadable":
            yield Finding(check, "warn", f"{where} cannot be read: {seen.why}", f"look at {quote_path(where)}")
        elif seen.state in ("edited", "foreign"):
            yield Finding(check, "warn", f"the entry in {where} is not as gitrelay wrote it", f"{again} --force")
        elif not os.access(seen.program, os.X_OK):
            yield Finding(check, "warn", f"{where} starts {seen.program}, which is not there", again)
        else:
            yield Finding(check, "ok", str(where))


def _skills(environ: Mapping[str, str], top: Path | None, agents: set[str]) -> Iterator[Finding]:
    """A row for each copy of the skill that an agent which is here reads; a project's copy if it has one."""
    readers = [name for name in skills.AGENTS if name in agents]
    for target in skills.skills(readers, environ):
        here = ", ".join(name for name in target.agents if name in agents)
        local = skills.skills(target.agents, environ, top)[0] if top is not None else None
        plugin = skills.claude_plugin(environ) if target.agents == ("claude",) else None
        if skills.look(target).state != "absent":
            yield _skill(target, here, "")
        elif local is not None and skills.look(local).state != "absent":
            yield _skill(local, here, " --project")
        elif plugin is not None:
            yield _plugin(plugin)
        else:
            yield _skill(target, here, "")
    double = skills.codex_double(environ)
    if "codex" in agents and double is not None:
        yield Finding(
            "skill for codex",
            "warn",
            f"{double} is a second skill named relay; codex then loads neither",
            f"rm -r {shlex.quote(str(double.parent))}",
        )


def _skill(target: skills.Target, readers: str, option: str) -> Finding:
    check = f"skill for {readers}"
    found = skills.look(target)
    cure = f"git relay install --agent {target.agents[0]}{option}"
    if found.state == "current":
        return Finding(check, "ok", str(target.path))
    if found.state == "absent":
        return Finding(check, "warn", "not installed", cure)
    if found.state == "outdated":
        return Finding(check, "warn", f"{target.path} is of gitrelay {found.version}", cure)
    if found.state == "link":
        return Finding(check, "warn", f"{target.path} is behind a symbolic link; it is left alone")
    return Finding(check, "warn", f"{target.path} was edited, or is not gitrelay's", f"{cure} --force")


def _plugin(version: str) -> Finding:
    text = f"the plugin gitrelay {version}"
    if version == __version__:
        return Finding("skill for claude", "ok", text)
    return Finding("skill for claude", "warn", text, "claude plugin update gitrelay@gitrelay")
