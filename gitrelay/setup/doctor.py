"""What calls need, checked one by one: git, this repository, the peers, the skills, codex's rule, the hooks.

Nothing is changed: what is missing comes with the command that fixes it. Only what would stop every call
fails the whole; what stops some, or only an agent's, is a warning.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay import __version__, environment
from gitrelay.calls import settings, upkeep
from gitrelay.errors import NO_ANSWER, OK, RelayError, UsageError
from gitrelay.git import packing, run
from gitrelay.git.repository import Repository
from gitrelay.git.version import MINIMUM
from gitrelay.ledger import fetching
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import cures, probe, registry
from gitrelay.peers.base import Invocation, Peer
from gitrelay.setup import hooks, hosts, manual, skills
from gitrelay.state import lock
from gitrelay.state.folder import State
from gitrelay.text import quote_path
from gitrelay.workspace import place

_WORKTREES: Final = 100  # open; 400 made `git gc` take four times as long
_SHELL_LIMIT: Final = 20.0  # seconds for a login shell and the user's profile


@dataclass(frozen=True)
class Finding:
    """One row: `state` is ok, warn, fail, or absent for an agent that nobody asked for.

    `fix` is the command, or the words, that fix it.
    """

    check: str
    state: str
    found: str
    fix: str = ""


def examine(folder: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Every check, from `folder`. Raises nothing for what is missing: that is what the rows say."""
    rows = list(_git())
    if rows[-1].state == "fail":
        return rows
    with tempfile.TemporaryDirectory(prefix="git-relay-") as scratch:
        repo, state, row = _repository(folder, Path(scratch))
        rows += [
            row,
            *_locks(state),
            *_workspaces(state),
            *_piles(repo),
            _identity(repo),
            _signing(repo),
            *_fetches(repo),
        ]
        environ = _usable(environ, rows)
        found = dict(_peers(repo, state, environ, Path(scratch), rows))
        agents = {name for name in skills.AGENTS if found.get(name) or shutil.which(name, path=environ.get("PATH"))}
        _not_wanted(repo, rows, found)
        rows += [_own_program(environ), *_manual(environ)]
        if "codex" in agents:
            rows += [_login_shell(environ, sorted(found)), _rule(environ)]
        rows += _skills(environ, repo.top, agents)
        rows += _entries(environ)
        rows += _hooks(repo)
    return [*rows, _calls(rows, [name for name, works in found.items() if works and name != "shell"])]


def exit_code(rows: list[Finding]) -> int:
    """0 if a call to at least one peer besides `shell` can work, as the last row says; else that of such a call."""
    return OK if rows[-1].check == "calls" and rows[-1].state == "ok" else NO_ANSWER


def _git() -> Iterator[Finding]:
    wanted = ".".join(map(str, MINIMUM))
    try:
        have = run.version()
    except RelayError as e:
        yield Finding("git", "fail", e.message, e.hint)
        return
    text = ".".join(map(str, have))
    if have < MINIMUM:
        yield Finding("git", "fail", f"{text} is too old", f"install git {wanted} or newer")
    else:
        yield Finding("git", "ok", text)


def _repository(folder: Path, scratch: Path) -> tuple[Repository, State, Finding]:
    """The repository, the folder of its state, and the row; outside of a repository, git's global settings."""
    check = "repository"
    try:
        repo = Repository.open(folder)
        state = Ledger(repo).state
        state.prepare()
    except UsageError as e:
        nowhere = Repository(None, folder, folder, "sha1")
        return nowhere, State(scratch), Finding(check, "warn", e.message, e.hint)
    except RelayError as e:
        nowhere = Repository(None, folder, folder, "sha1")
        return nowhere, State(scratch), Finding(check, "fail", e.message, e.hint)
    if repo.top is None:
        error = repo.has_no_tree("bare: there is no working tree for a peer", "call from a clone or a linked worktree")
        return repo, state, Finding(check, "warn", error.message, error.hint)
    return repo, state, Finding(check, "ok", f"{quote_path(repo.common_dir)} can be written")


def _usable(environ: Mapping[str, str], rows: list[Finding]) -> Mapping[str, str]:
    """`environ` without the variables that name no folder; a row for each of them."""
    bad = []
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        try:
            environment.folder(environ, name, Path())
        except UsageError as e:
            rows.append(Finding("environment", "fail", e.message, e.hint))
            bad.append(name)
    return {name: value for name, value in environ.items() if name not in bad}


def _locks(state: State) -> Iterator[Finding]:
    """A row where the file system does not lock, or grants every lock; none where all is well."""
    folder = state.root / "locks"
    if not folder.is_dir():
        return
    hint = "put the repository on a local disk, or mount it with locks"
    try:
        if not lock.excludes(folder):
            yield Finding("locks", "warn", "this file system grants a lock twice: calls at one time may collide", hint)
    except RelayError as e:
        yield Finding("locks", "fail", e.message, e.hint)
    except OSError as e:
        yield Finding("locks", "fail", f"{quote_path(folder)}: {e.strerror}", hint)


def _workspaces(state: State) -> Iterator[Finding]:
    """A row for the workspaces that are there, with their size."""
    found = place.notes(state.root)
    if found:
        names = ", ".join(note.session for note in found[:5]) + (f" and {len(found) - 5} more" if found[5:] else "")
        size = sum(place.size(note) for note in found) / 1e6
        text = f"{len(found)} with {size:.0f} MB: {names}"
        yield Finding("workspaces", "ok", text, "git relay close SESSION, or git relay close --idle 7d")


def _piles(repo: Repository) -> Iterator[Finding]:
    """A row for each thing that grew without being tidied; none if gitrelay keeps it small."""
    limit = packing.threshold(repo) or packing.GC_AUTO
    loose, refs = packing.loose_objects(repo, limit), packing.loose_refs(repo)
    if loose > limit:
        yield Finding("loose objects", "warn", f"{loose}: git is slow and takes space", "git gc")
    if refs > 2 * upkeep.LOOSE_REFS:
        yield Finding("loose refs", "warn", f"{refs} refs of sessions: git branch is slow", "git pack-refs --all")
    folder = repo.common_dir / "worktrees"
    trees = len(list(folder.iterdir())) if folder.is_dir() else 0
    if trees > _WORKTREES:
        yield Finding("worktrees", "warn", f"{trees}: git gc is slow", "git relay close --idle 1h")


def _fetches(repo: Repository) -> Iterator[Finding]:
    """A row for each remote that a fetch may delete sessions by."""
    for danger in fetching.dangers(repo):
        yield Finding(f"fetch {danger.remote}", "warn", danger.words, danger.fix)


def _identity(repo: Repository) -> Finding:
    who = repo.identity
    text = f"{who.name} <{who.email}>"
    if who.name == "gitrelay":
        return Finding(
            "identity",
            "warn",
            f"none is configured; commits are by {text}",
            "git config --global user.name NAME; git config --global user.email MAIL",
        )
    return Finding("identity", "ok", f"commits are by {text}")


def _signing(repo: Repository) -> Finding:
    if not repo.signs:
        return Finding("signing", "ok", "off")
    format_ = (repo.setting("gpg.format") or "openpgp").lower()
    default = {"openpgp": "gpg", "x509": "gpgsm", "ssh": "ssh-keygen"}.get(format_, format_)
    old = repo.setting("gpg.program") if format_ == "openpgp" else None
    program = repo.setting(f"gpg.{format_}.program") or old or default
    if shutil.which(program) is None:
        return Finding("signing", "fail", f"{program} was not found", "install it, or: git config relay.sign false")
    if format_ == "ssh" and not (repo.setting("user.signingkey") or repo.setting("gpg.ssh.defaultkeycommand")):
        return Finding("signing", "fail", "no user.signingKey", "git config user.signingKey, or relay.sign false")
    return Finding("signing", "ok", f"on, with {program}")


def _peers(
    repo: Repository, state: State, environ: Mapping[str, str], scratch: Path, rows: list[Finding]
) -> Iterator[tuple[str, bool]]:
    """(peer, whether its program is usable) of every peer; the rows are added."""
    for name in sorted({*registry.BUILT_IN, *registry.configured(repo)}):
        try:
            row = _peer(repo, state, environ, scratch, name)
        except RelayError as e:
            row = Finding(f"peer {name}", "fail", e.message, e.hint)
        rows.append(row)
        yield name, row.state == "ok"


def _peer(repo: Repository, state: State, environ: Mapping[str, str], scratch: Path, name: str) -> Finding:
    check = f"peer {name}"
    peer = registry.find(repo, name)
    settings.for_call(repo, peer, settings.Given())  # raises for a setting that would stop every call
    program = probe.find(
        peer.capabilities.program, environment.for_peer(environ, settings.peer_environment(repo, name))
    )
    ours = peer is registry.BUILT_IN.get(name)
    package = cures.install(name)
    cure = package if ours and package else f"git config relay.{name}.command"
    if program.path is None:
        return Finding(check, "warn" if ours else "fail", probe.missing(peer.capabilities.program), cure)
    if not peer.capabilities.minimum:
        return Finding(check, "ok", str(program.path))
    version = probe.version(state, program, peer.capabilities)
    text = version.text if version and version.text else "of unknown version"
    if version is not None and not version.supported:
        return Finding(check, "fail", version.complaint(peer), cure)
    missing = probe.missing_flags(state, program, _commands(peer, repo.top or Path.cwd(), scratch))
    if missing:
        return Finding(check, "fail", f"{name} {text} has no {', '.join(missing)}", cure)
    return Finding(check, "ok", f"{text}, {program.path}")


def _commands(peer: Peer, cwd: Path, scratch: Path) -> list[list[str]]:
    """The words that calls give to the peer's program, in every access."""
    return [
        list(peer.command(Invocation("", cwd, scratch, access, model="m", effort="e")).argv[1:])
        for access in peer.capabilities.access
    ]


def _not_wanted(repo: Repository, rows: list[Finding], found: Mapping[str, bool]) -> None:
    """If an agent works here, the others that are not installed are no warning unless a setting names them."""
    if not any(works for name, works in found.items() if name != "shell"):
        return
    named = {repo.setting("relay.to"), repo.setting("relay.gatepeer")}
    for i, row in enumerate(rows):
        name = row.check.removeprefix("peer ")
        if row.state == "warn" and name in registry.BUILT_IN and row.check != name and name not in named:
            rows[i] = Finding(row.check, "absent", "not installed", row.fix)


def _manual(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A row for the page that `git relay --help` opens; none if this machine has no man."""
    if shutil.which("man", path=environ.get("PATH")) is None:
        return
    path = manual.found(environ)
    if path is None:
        yield Finding("man page", "warn", "'git relay --help' finds no page", "git relay install")
    else:
        yield Finding("man page", "ok", path)


def _own_program(environ: Mapping[str, str]) -> Finding:
    path = shutil.which("git-relay", path=environ.get("PATH"))
    if path is None:
        return Finding("git relay", "warn", "git does not find git-relay on PATH", "uv tool install gitrelay-cli")
    return Finding("git relay", "ok", path)


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


def _hooks(repo: Repository) -> Iterator[Finding]:
    """A row for each of gitrelay's hooks that is installed."""
    try:
        found = hooks.listing(repo)
    except RelayError:
        return
    for hook in found:
        if hook.state == hooks.INSTALLED:
            yield Finding(f"hook {hook.name}", "ok", str(hook.path))
        elif hook.state in (hooks.OUTDATED, hooks.EDITED):
            force = " --force" if hook.state == hooks.EDITED else ""
            fix = f"git relay hooks install {hook.name}{force}"
            yield Finding(f"hook {hook.name}", "warn", f"{hook.path} is {hook.state}", fix)


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


def _calls(rows: list[Finding], works: list[str]) -> Finding:
    stopped = [row.check for row in rows if row.state == "fail" and row.check in ("repository", "signing")]
    if stopped:
        return Finding("calls", "fail", f"no call can work: {', '.join(stopped)}", "see above")
    if not works:
        return Finding("calls", "fail", "no peer besides shell can be called", "install one of those above, and log in")
    return Finding("calls", "ok", f"{', '.join(works)} can be called, if logged in")
