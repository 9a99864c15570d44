"""The agents known to speak the Agent Client Protocol: how each is started, and what was seen of it.

What `tried` names a version for was run with that version; the rest comes from the agents' own documents. Mode ids are
those by which an agent was seen to keep an access: a mode's name proves nothing, and may mean something else in another
version. An agent that is not here, or has no mode for read, is not offered read access.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from gitrelay.ground.value import dataclass
from gitrelay.peers import opencode


@dataclass(frozen=True)
class Known:
    """`words`: the command line. `modes`: access -> mode id; '' for an access that needs none to be held.

    `package`: what an install hint may name. `minimum` is compared with the version in the handshake. `cumulative`:
    usage figures told for the whole conversation. `turns_inside`: its tools cannot read the turns of a session, which
    git ignores. `env`: access -> variables of its own.
    """

    name: str
    words: tuple[str, ...]
    package: str = ""
    tried: str = ""
    minimum: tuple[int, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    cumulative: tuple[str, ...] = ()
    resumes: bool = True
    turns_inside: bool = False
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    note: str = ""

    @property
    def command(self) -> str:
        return " ".join(self.words)

    @property
    def access(self) -> tuple[str, ...]:
        return tuple(access for access in ("read", "write", "full") if access != "read" or "read" in self.modes)


def _opencode_env(access: str) -> dict[str, str]:
    """An agent of our own, with the permissions that the native peer gives: none of opencode's modes keeps read."""
    agent = {"mode": "primary", "permission": opencode.PERMISSION[access]}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps({"agent": {"gitrelay": agent}})}


# the mode in which an agent asks before it changes anything leaves the decision to `policy`
KNOWN: Final = (
    Known(
        "gemini",
        ("gemini", "--acp", "--skip-trust"),
        "@google/gemini-cli",
        "0.61.0",
        (0, 31),
        {"read": "default", "write": "default", "full": "yolo"},
        resumes=False,  # session/load does not find what session/new has made
        turns_inside=True,
    ),
    Known(
        "opencode",
        ("opencode", "acp"),
        "opencode-ai",
        "1.18.33",
        (1, 1, 1),
        {"read": "gitrelay", "write": "gitrelay", "full": "gitrelay"},
        env={access: _opencode_env(access) for access in opencode.PERMISSION},
        note="its usage is that of the last step",
    ),
    Known(
        "codex-acp",
        ("codex-acp",),
        "@agentclientprotocol/codex-acp",
        "2.6.0",
        (2, 6),  # in 1.7 `read-only` could write
        {"read": "read-only", "write": "workspace-write", "full": "agent-full-access"},
    ),
    Known(
        "claude-agent-acp",
        ("claude-agent-acp",),
        "@agentclientprotocol/claude-agent-acp",
        "0.101.0",
        (0, 101),
        {"read": "default", "write": "acceptEdits", "full": "bypassPermissions"},
        cumulative=("cost_usd",),
    ),
    Known(
        "qwen",
        ("qwen", "--acp"),
        "@qwen-code/qwen-code",
        "0.24.4",
        (0, 24),
        {"read": "plan", "write": "default", "full": "yolo"},
        turns_inside=True,
        note="tells no usage",
    ),
    Known(
        "copilot",
        ("copilot", "--acp"),
        "@github/copilot",
        "1.0.102",
        (1,),
        {"read": "agent", "write": "agent", "full": "agent"},
        cumulative=("input", "cached", "output"),
    ),
    # by their documents
    Known("cursor-agent", ("cursor-agent", "acp")),
    Known("kimi", ("kimi", "acp")),
    Known("goose", ("goose", "acp")),
    Known("droid", ("droid", "exec", "--output-format", "acp")),
    Known("kiro-cli-chat", ("kiro-cli-chat", "acp")),
    Known("junie", ("junie", "--acp=true")),
    Known("devin", ("devin", "acp")),
    Known("grok", ("grok", "agent", "stdio")),
    Known("qodercli", ("qodercli", "--acp")),
    Known("traecli", ("traecli", "acp", "serve")),
    Known("cline", ("cline", "--acp"), note="session/new wants a log-in"),
    Known("pi-acp", ("pi-acp",)),
)


def of_command(words: Sequence[str]) -> Known | None:
    """The known agent that the command line starts: by its program and the words that make it speak the protocol."""
    program = os.path.basename(words[0])
    for known in KNOWN:
        if known.words[0] == program and all(word in words for word in known.words[1:] if word != "--skip-trust"):
            return known
    return None
