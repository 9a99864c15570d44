"""What a call adds to an agent: the real agents called by gitrelay, against the same agents run by hand.

    python benchmarks/peers.py [RUNS] [AGENT ...]

AGENT is the name of a CLI (claude), or `acp:` and the name of an agent by the Agent Client Protocol (acp:gemini);
default: all that `tests/fetch_clis.sh` has installed. Each agent asks the scripted model of the tests on 127.0.0.1,
with dummy keys, so the time of a real model is in neither side. By hand an agent is given the same words once, without
a record: a CLI by its own flag, an agent of the protocol by the shortest client there is. Start: a one-shot. Turn: a
later turn of a session, in which the agent continues its conversation.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

from paired import Figure, Spent, adopt_orphans, figures, in_pairs, spent, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import pytest
from helping import helped

from support import realcli
from support.model_server import Answer, ModelServer

TASK = "Say in one word whether you are ready."
GIT_RELAY = str(Path(sys.executable).with_name("git-relay"))
Env = Callable[[Path, str], dict[str, str]]
NATIVE: dict[str, tuple[Env, list[str]]] = {
    "claude": (realcli.claude_env, ["claude", "-p", TASK]),
    "codex": (realcli.codex_env, ["codex", "exec", "-s", "workspace-write", TASK]),
    "copilot": (realcli.copilot_env, ["copilot", "-s", "--allow-all-tools", "-p", TASK]),
    "gemini": (realcli.gemini_env, ["gemini", "--skip-trust", "-p", TASK]),
    "opencode": (realcli.opencode_env, ["opencode", "run", TASK]),
    "qwen": (realcli.qwen_env, ["qwen", "-p", TASK]),
}
ACP: dict[str, tuple[Env, str]] = {
    "gemini": (realcli.gemini_env, "gemini --acp --skip-trust"),
    "opencode": (realcli.opencode_env, "opencode acp"),
    "codex-acp": (realcli.codex_acp_env, "codex-acp"),
    "claude-agent-acp": (realcli.claude_agent_acp_env, "claude-agent-acp"),
    "qwen": (realcli.qwen_env, "qwen --acp"),
    "copilot": (realcli.copilot_env, "copilot --acp"),
}
# initialize, session/new, session/prompt, and the end of stdin
CLIENT = """\
import json, os, subprocess, sys
agent = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
def ask(id, method, params):
    agent.stdin.write(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\\n")
    agent.stdin.flush()
    for line in agent.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if message.get("id") == id and "method" not in message:
            return message["result"]
    sys.exit("the agent ended")
ask(1, "initialize", {"protocolVersion": 1, "clientCapabilities": {}})
session = ask(2, "session/new", {"cwd": os.getcwd(), "mcpServers": []})["sessionId"]
ask(3, "session/prompt", {"sessionId": session, "prompt": [{"type": "text", "text": sys.argv[1]}]})
agent.stdin.close()
agent.wait()
"""


def measured(name: str, runs: int) -> list[Figure]:
    """The rows of one agent. Raises pytest's Skipped if it is not installed, CalledProcessError if a call fails."""
    by_protocol, _, agent = name.rpartition(":")
    with tempfile.TemporaryDirectory() as folder, ModelServer(lambda request: Answer(body="ready")) as model:
        make = (ACP if by_protocol else NATIVE)[agent][0]
        env = make(Path(folder, "home"), model.url)
        env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
        env.update(GIT_AUTHOR_NAME="b", GIT_AUTHOR_EMAIL="b@e", GIT_COMMITTER_NAME="b", GIT_COMMITTER_EMAIL="b@e")
        top = Path(folder, "repo")
        top.mkdir()
        with mock.patch.dict(os.environ, env, clear=True):
            subprocess.run(["git", "init", "-q"], cwd=top, check=True)
            subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=top, check=True)
            return _rows(name, agent, _by_hand(by_protocol, agent, top), top, runs)


def _by_hand(by_protocol: str, agent: str, top: Path) -> list[str]:
    if not by_protocol:
        return NATIVE[agent][1]
    line = ACP[agent][1]
    subprocess.run(["git", "config", f"relay.{agent}.acp", line], cwd=top, check=True)
    return [sys.executable, "-S", "-c", CLIENT, TASK, *line.split()]


def _rows(name: str, agent: str, by_hand: Sequence[str], top: Path, runs: int) -> list[Figure]:
    ask = [GIT_RELAY, "req", "--from", "bench", "--to", agent]
    start = in_pairs(lambda i: spent([*ask, "--name", f"n{i}", TASK], top), lambda i: spent(by_hand, top), runs)
    # the pair that warms the caches is the first turn of the session
    turn = in_pairs(lambda i: spent([*ask, "--session", "s", TASK], top), lambda i: spent(by_hand, top), runs)
    rows = [*figures(f"{name}, start / by hand", start), *figures(f"{name}, turn / by hand", turn)]
    return [*rows, *_kept(name, agent, ask, top, runs)] if name.startswith("acp:") else rows


def _kept(name: str, agent: str, ask: Sequence[str], top: Path, runs: int) -> list[Figure]:
    """The second turn of a session whose agent stays, against its first; wall time only, for a keeper goes on."""
    subprocess.run(["git", "config", f"relay.{agent}.keep", "5m"], cwd=top, check=True)
    pairs = []
    for i in range(runs):
        took = []
        for _ in range(2):
            begin = time.perf_counter()
            subprocess.run([*ask, "--session", f"k{i}", TASK], cwd=top, check=True, stdout=subprocess.DEVNULL)
            took.append(Spent(time.perf_counter() - begin, 0.0))
        pairs.append((took[1], took[0]))
        subprocess.run([GIT_RELAY, "close", f"k{i}"], cwd=top, check=True, stdout=subprocess.DEVNULL)
    return figures(f"{name}, second turn, kept / first", pairs)[:1]


def main() -> None:
    words = sys.argv[1:]
    runs = int(words.pop(0)) if words and words[0].isdigit() else 5
    adopt_orphans()
    rows: list[Figure] = []
    for name in words or [*NATIVE, *(f"acp:{agent}" for agent in ACP)]:
        try:
            rows += measured(name, runs)
        except pytest.skip.Exception as e:
            print(f"{name}: left out: {e}", file=sys.stderr)
    print(table(rows))


if __name__ == "__main__":
    helped(__doc__)
    main()
