"""The environment, cleaned once, and what it tells about who calls.

Git exports its own variables into hooks and aliases (`GIT_DIR`, `GIT_INDEX_FILE`, ...), and an inherited
`GIT_DIR` beats `git -C`; GitPython can add variables to git's environment but never take one away. So
`main` scrubs `os.environ` before anything imports git, by an allow-list, and peers inherit the result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

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
        "GIT_COMMITTER_NAME",  # the user's identity, where it is not in the configuration
        "GIT_COMMITTER_EMAIL",
        "GIT_PAGER",  # the person's pager; `git --no-pager relay ...` sets it to cat
        "GIT_PAGER_IN_USE",  # git has started the pager itself (`git -p relay ...`)
        "GIT_PYTHON_GIT_EXECUTABLE",  # GitPython's own choice of git
        "GIT_PYTHON_REFRESH",
    }
)
_KEPT_PATTERN = re.compile(r"GIT_CONFIG_(KEY|VALUE)_[0-9]+")

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
    """Remove git's variables that are not on the allow-list from os.environ; returns what was removed."""
    removed = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("GIT_") and name not in _KEPT and not _KEPT_PATTERN.fullmatch(name)
    }
    return removed


def for_peer(environ: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without git's variables and agent markers, then the peer's own settings."""
    kept = {k: v for k, v in environ.items() if not k.startswith("GIT_") and k not in AGENT_MARKERS}
    return kept | dict(extra)


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
            'of it, writes the rule prefix_rule(pattern=["git", "relay"], decision="allow"); with the rule, call '
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


def handed_down(environ: Mapping[str, str], address: object) -> dict[str, str]:
    """What a peer is told about the call it works for."""
    return {
        "GITRELAY_DEPTH": str(depth(environ) + 1),
        "GITRELAY_CHAIN": " ".join([*chain(environ), str(address)]),
    }
