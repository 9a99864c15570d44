"""What calls need, checked one by one: git, this repository, the peers, the hooks; agents.py has the agents' rows.

Nothing is changed: what is missing comes with the command that fixes it. Only what would stop every call
fails the whole; what stops some, or only an agent's, is a warning.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.calls import settings, upkeep
from gitrelay.errors import NO_ANSWER, OK, RelayError, UsageError
from gitrelay.git import packing, run
from gitrelay.git.repository import Repository
from gitrelay.git.version import MINIMUM
from gitrelay.ground.text import quote_path
from gitrelay.ledger import fetching
from gitrelay.ledger.ledger import Ledger
from gitrelay.peers import cures, probe, registry
from gitrelay.peers.base import Invocation, Peer
from gitrelay.setup import agents, hooks
from gitrelay.setup.finding import Finding
from gitrelay.state import lock
from gitrelay.state.folder import State
from gitrelay.workspace import place

_WORKTREES: Final = 100  # open; 400 made `git gc` take four times as long


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
        _not_wanted(repo, rows, found)
        rows += agents.rows(environ, repo.top, found)
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


def _calls(rows: list[Finding], works: list[str]) -> Finding:
    stopped = [row.check for row in rows if row.state == "fail" and row.check in ("repository", "signing")]
    if stopped:
        return Finding("calls", "fail", f"no call can work: {', '.join(stopped)}", "see above")
    if not works:
        return Finding("calls", "fail", "no peer besides shell can be called", "install one of those above, and log in")
    return Finding("calls", "ok", f"{', '.join(works)} can be called, if logged in")
