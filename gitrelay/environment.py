"""The environment, cleaned once, and what it tells about who calls.

Git exports its own variables into hooks and aliases (`GIT_DIR`, `GIT_INDEX_FILE`, ...), and an inherited
`GIT_DIR` beats `git -C`; GitPython can add variables to git's environment but never take one away. So
`main` scrubs `os.environ` before anything imports git: gitrelay's own git gets what an allow-list names. A peer
gets back all of the user's variables but those that say which repository to work in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gitrelay.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

# Every kept name is about how git reaches the network, where it is installed, or settings that the
# person gave on the command line or in the environment; none says which repository to work in.
_KEPT: Final = frozenset(
    {
        "GIT_EXEC_PATH",  # where git's own programs are, on relocated installs
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_ASKPASS",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_NO_VERIFY",
        "GIT_SSL_CERT",
        "GIT_SSL_KEY",
        "GIT_PROXY_SSL_CAINFO",
        "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_ALLOW_PROTOCOL",
        "GIT_CONFIG_GLOBAL",  # which configuration is the user's; CI and test harnesses set these
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",  # `git -c name=value relay ...`
        "GIT_COMMITTER_NAME",  # the user's identity, if it is not in the configuration
        "GIT_COMMITTER_EMAIL",
        "GIT_PAGER",  # the person's pager; `git --no-pager relay ...` sets it to cat
        "GIT_PAGER_IN_USE",  # git has started the pager itself (`git -p relay ...`)
        "GIT_PYTHON_GIT_EXECUTABLE",  # GitPython's own choice of git
        "GIT_PYTHON_REFRESH",
    }
)
_KEPT_PATTERN: Final = r"GIT_CONFIG_(KEY|VALUE)_[0-9]+"  # compiled if a name of git is there at all
# What says which repository, or which part of one, git works in (`git rev-parse --local-env-vars`), and what belongs
# to the one git process that has set it. A peer works in the caller's tree, whatever these say; all other variables
# of git are the user's own: identity, ssh, configuration.
_OF_A_REPOSITORY: Final = frozenset(
    {
        "GIT_DIR",
        "GIT_COMMON_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_PREFIX",
        "GIT_INDEX_FILE",
        "GIT_INDEX_VERSION",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
        "GIT_CONFIG",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
        "GIT_REPLACE_REF_BASE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_ATTR_SOURCE",
        "GIT_QUARANTINE_PATH",
        "GIT_REFLOG_ACTION",
        "GIT_PAGER_IN_USE",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
    }
)
_OF_A_REPOSITORY_PATTERN: Final = r"GIT_(INTERNAL|PUSH_OPTION|PROTOCOL_FROM)_\w+|GIT_PUSH_OPTION_COUNT"
_FOR_PEERS: Final = "GITRELAY_GIT"  # variables of git that only peers get, as JSON; from `scrub` to `for_peer`

# Set by an agent for the commands it runs. A peer must not believe that it is nested in the caller:
# claude up to 2.1.70 refuses to start with CLAUDECODE set.
AGENT_MARKERS: Final = frozenset(
    {
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_PID",
        "AI_AGENT",
        "AGENT",
        "CODEX_THREAD_ID",
        "CODEX_SESSION_ID",
        "CODEX_CI",
        "CODEX_VERSION",
        "CODEX_SANDBOX",
        "CODEX_SANDBOX_NETWORK_DISABLED",
        "GEMINI_CLI",
        "OPENCODE",
        "OPENCODE_PID",
    }
)


def scrub() -> dict[str, str]:
    """Remove git's variables that are not on the allow-list from os.environ; returns what was removed.

    What a peer gets all the same stays in one variable that git does not know.
    """
    removed = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("GIT_") and name not in _KEPT and not re.fullmatch(_KEPT_PATTERN, name)
    }
    kept = _carried(os.environ) | {name: value for name, value in removed.items() if not _names_a_repository(name)}
    if kept:
        import json  # `git relay -h` needs neither this nor paths

        os.environ[_FOR_PEERS] = json.dumps(kept)
    _found.clear()
    _found.update({name: _absolute(removed[name]) for name in ("GIT_DIR", "GIT_WORK_TREE") if removed.get(name)})
    return removed


def _absolute(path: str) -> str:
    """The path from the root; as it is if the current folder was removed, which the first git that runs there tells."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        return path


_found: dict[str, str] = {}


def named_repository() -> Mapping[str, str]:
    """GIT_DIR and GIT_WORK_TREE as this program was given them, made absolute."""
    return _found


def for_peer(environ: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what names a repository and agent markers, then the peer's own settings."""
    kept = {k: v for k, v in environ.items() if k not in AGENT_MARKERS and k != _FOR_PEERS}
    kept = {k: v for k, v in (kept | _carried(environ)).items() if not _names_a_repository(k)}
    return kept | dict(extra)


def _names_a_repository(name: str) -> bool:
    return name in _OF_A_REPOSITORY or bool(re.fullmatch(_OF_A_REPOSITORY_PATTERN, name))


def _carried(environ: Mapping[str, str]) -> dict[str, str]:
    """What an earlier `scrub` has kept for peers; anything else under that name counts as nothing."""
    if _FOR_PEERS not in environ:
        return {}
    import json

    try:
        kept = json.loads(environ[_FOR_PEERS])
    except ValueError:
        return {}
    if not isinstance(kept, dict):
        return {}
    return {k: v for k, v in kept.items() if k.startswith("GIT_") and isinstance(v, str) and "\0" not in v}


def home(environ: Mapping[str, str]) -> Path:
    """The user's home. Without a HOME that is an absolute path, the one of the user's account."""
    from pathlib import Path

    named = environ.get("HOME", "")
    if os.path.isabs(named):
        return Path(named)
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user id without an account, as containers have
        raise UsageError(
            f"HOME is {named!r}, and this user has no account that would name a home", hint="export HOME=/your/home"
        ) from None


def folder(environ: Mapping[str, str], name: str, default: Path) -> Path:
    """The folder that the variable `name` names, `default` if it is unset or blank.

    `~` is the home, as a shell would have it: a service file or a `.env` hands it over as it is. Raises UsageError
    for a relative path: it would mean another folder wherever the command runs.
    """
    from pathlib import Path

    value = environ.get(name, "").strip()
    if not value:
        return default
    if value == "~" or value.startswith("~/"):
        return home(environ) / value[2:]
    if not os.path.isabs(value):
        raise UsageError(
            f"{name}={value!r} is not an absolute path", hint=f'export {name}="$PWD/{value}", or unset {name}'
        )
    return Path(value)


def calling_agent(environ: Mapping[str, str]) -> str | None:
    """The agent that runs this command, told from the variables it sets for its tools; None for a person."""
    if environ.get("CLAUDECODE"):
        return "claude"
    if environ.get("CODEX_THREAD_ID") or environ.get("CODEX_SESSION_ID"):
        return "codex"
    if environ.get("GEMINI_CLI"):
        return "gemini"
    if environ.get("OPENCODE"):
        return "opencode"
    return None


def how_to_record(environ: Mapping[str, str]) -> str:
    """What to do where .git cannot be written, in words for the agent that called.

    Only a write that fails tells that codex runs a command in its sandbox: CODEX_SANDBOX_NETWORK_DISABLED
    is set outside of it too.
    """
    if calling_agent(environ) == "codex":
        return (
            "codex's sandbox keeps .git read-only: 'git relay install --agent codex --allow-codex', run once outside "
            "of it, writes the rule that lets 'git relay req' and its like out; with the rule, call "
            "'git relay ...' as ONE plain command: no chain, pipe, redirection, comment, '$' or cd"
        )
    return "gitrelay records every call under .git: run it outside the sandbox, or make .git writable"


def depth(environ: Mapping[str, str]) -> int:
    """How many calls this process is below a person: 0 outside of any; what is not a number counts as 0."""
    text = environ.get("GITRELAY_DEPTH", "")
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 0


def chain(environ: Mapping[str, str]) -> list[str]:
    """The addresses of the calls that this process runs below, the outermost first."""
    return [word for word in environ.get("GITRELAY_CHAIN", "").split() if re.fullmatch(r"[a-z0-9/-]{1,160}", word)]


CALL: Final = "GITRELAY_CALL"  # on the processes of peers and checks: the call's mark
OF_CHECK: Final = " check"  # ends the mark of a check, which runs for the caller and not for the peer
ACCESS: Final = "GITRELAY_ACCESS"  # what the call that a process works for may do


def handed_down(environ: Mapping[str, str], address: object, access: str, depth_there: int = 0) -> dict[str, str]:
    """What a peer is told about the call it works for; `depth_there` is its depth on the machine that asked."""
    return {
        ACCESS: access,
        "GITRELAY_DEPTH": str(max(depth(environ), depth_there) + 1),
        "GITRELAY_CHAIN": " ".join([*chain(environ), str(address)]),
    }
