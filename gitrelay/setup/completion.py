"""Completion for shells: the scripts, which are files of this package, and where each shell looks for its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gitrelay import environment
from gitrelay.errors import CannotRecord, Code, UsageError
from gitrelay.ground.text import quote, quote_path
from gitrelay.state.files import write_whole

SHELLS: Final = ("bash", "zsh", "fish")
_SCRIPTS: Final = Path(__file__).parent / "completions"
_MARK: Final = "Made by 'git relay completion "  # in every script of ours, of any version
# where distributions and Homebrew put the package that loads completions
_BASH_COMPLETION: Final = (
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/opt/homebrew/share/bash-completion/bash_completion",
)
_PATIENCE: Final = 10.0  # seconds for zsh and the person's own start files


@dataclass(frozen=True)
class Installed:
    """`action` is installed, updated or unchanged; `advice` what is left for the person to do, empty for nothing."""

    shell: str
    path: Path
    action: str
    advice: str = ""


def named(given: str | None, environ: Mapping[str, str]) -> str:
    """The shell that was named, else the person's own (SHELL). Raises UsageError for one that is not known."""
    name = given if given is not None else Path(environ.get("SHELL", "")).name
    if name in SHELLS:
        return name
    what = f"no completion for shell {quote(name)}" if name else "which shell? SHELL is not set"
    raise UsageError(what, hint=f"name one of {', '.join(SHELLS)}", code=Code.UNKNOWN_SHELL)


def script(shell: str) -> str:
    """The completion script for one of SHELLS."""
    return (_SCRIPTS / f"git-relay.{shell}").read_text("utf-8")


def place(shell: str, environ: Mapping[str, str]) -> Path:
    """Where the shell looks for a script of the user's own; zsh may have to be told about that folder."""
    home = environment.home(environ)
    if shell == "fish":
        return _xdg(environ, "XDG_CONFIG_HOME", home / ".config") / "fish/conf.d/git-relay.fish"
    if shell == "zsh":
        return environment.folder(environ, "ZDOTDIR", home) / ".zfunc/_git-relay"
    # https://github.com/scop/bash-completion: the user's folder, looked at when a command is first completed
    name = "BASH_COMPLETION_USER_DIR"
    own = {**environ, name: environ.get(name, "").partition(":")[0]}
    default = _xdg(environ, "XDG_DATA_HOME", home / ".local/share") / "bash-completion"
    return environment.folder(own, name, default) / "completions/git-relay"


def install(shell: str, environ: Mapping[str, str]) -> Installed:
    """Write the script where the shell looks. Raises UsageError if another's file is there, CannotRecord."""
    path, text = place(shell, environ), script(shell)
    try:
        before = None
        if os.path.lexists(path):
            before = path.read_text("utf-8", "replace") if path.is_file() else ""
        if before is not None and _MARK not in before:
            raise UsageError(
                f"{quote_path(path)} is not gitrelay's",
                hint=f"move it away, or print the script and put it where you like: git relay completion {shell}",
                code=Code.NOT_OURS,
            )
        if before != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())
    except OSError as e:
        raise CannotRecord(f"cannot write {quote_path(path)}: {e.strerror}", hint="check who owns it") from e
    action = "unchanged" if before == text else "installed" if before is None else "updated"
    return Installed(shell, path, action, _advice(shell, path, environ))


def _advice(shell: str, path: Path, environ: Mapping[str, str]) -> str:
    if shell == "zsh" and path.parent not in _function_path(environ):
        return f"zsh does not look there yet: put 'fpath=({path.parent} $fpath)' into .zshrc, before 'compinit'"
    if shell == "bash" and not any(Path(known).exists() for known in _BASH_COMPLETION):
        return f"bash looks there once bash-completion is installed; until then, put '. {path}' into .bashrc"
    return ""


def _function_path(environ: Mapping[str, str]) -> list[Path]:
    """The folders in which the person's own zsh looks for functions; none if it cannot say."""
    try:
        said = subprocess.run(
            ["zsh", "-ic", "print -rl -- $fpath"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            start_new_session=True,  # an interactive shell would take the terminal
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [Path(line) for line in said.stdout.decode("utf-8", "surrogateescape").splitlines()]


def _xdg(environ: Mapping[str, str], name: str, default: Path) -> Path:
    """A base folder by the XDG specification: a relative one is ignored."""
    value = environ.get(name, "")
    return Path(value) if os.path.isabs(value) else default
