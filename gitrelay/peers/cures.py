"""What helps if an agent is not there or not logged in: its own commands. Values only."""

from __future__ import annotations

from typing import Final

# peer -> its package in npm
PACKAGES: Final = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "copilot": "@github/copilot",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "qwen": "@qwen-code/qwen-code",
}
# peer -> how a person logs in to it
LOGINS: Final = {
    "claude": "claude, then /login",
    "codex": "codex login",
    "copilot": "copilot login",
    "gemini": "gemini, and follow what it says",
    "opencode": "opencode auth login",
    "qwen": "qwen, then /auth",
}


def install(peer: str) -> str | None:
    """The command that installs a built-in agent, or brings it up to date; None for another peer."""
    return f"npm install -g {PACKAGES[peer]}@latest" if peer in PACKAGES else None


def cure(peer: str, reason: str, what: str) -> str | None:
    """The command for this reason and this peer, None if none helps for sure; `what` says what happened."""
    if reason == "auth":
        return LOGINS.get(peer)
    return install(peer) if reason == "unavailable" and "not found" in what else None
