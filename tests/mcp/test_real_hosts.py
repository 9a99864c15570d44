"""The real codex and claude as hosts, in the sandbox that each has by default: the other one answers through a tool.

Two scripted models: one plays the host's, the other the peer's. The entry is the one that `install --mcp` writes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Step, Text, Tool
from support.realcli import claude_env, codex_env, merged, require, run
from support.repo import BIN, Repo, sealed_environment
from support.waiting import patient

pytestmark = pytest.mark.realcli
LIMIT = 90.0  # seconds; each run takes about five


def machine(repo: Repo, mark: dict[str, str], codex: ModelServer, claude: ModelServer) -> Repo:
    """Both CLIs set up in one home, each with a model of its own, and codex knows how to start the server."""
    home = Path(repo.env["HOME"])
    both = merged(codex_env(home, codex.url), claude_env(home, claude.url), sealed_environment(home))
    both["PATH"] = os.pathsep.join([str(BIN), both["PATH"]])
    made = Repo(repo.path, both | mark)
    for name, value in both.items():
        if name.startswith(("DISABLE_", "CLAUDE_CODE_DISABLE_")):  # codex keeps them from its servers
            made.git("config", "--add", "relay.claude.env", f"{name}={value}")
    assert made.relay("install", "--mcp", "--agent", "codex", "--agent", "claude").code == 0
    return made


def results(server: ModelServer) -> list[str]:
    """What the tool calls came back with, as the model sees them at the end."""
    return [r for r in server.requests if r.main][-1].tool_results


def test_codex_calls_claude_through_the_server(repo: Repo, mark: dict[str, str]) -> None:
    call = {"to": "claude", "task": "Is app.py fine?", "session": "s"}
    steps: list[Step] = [
        Tool("relay_call", call | {"access": "full"}, "mcp__relay"),
        Tool("relay_call", call | {"wait": "0"}, "mcp__relay"),
        Tool("relay_wait", {"address": "s/01"}, "mcp__relay"),
        Text("Done."),
    ]
    with ModelServer(steps) as codex, ModelServer([Answer(verify="skip", body="It is, says claude.")]) as claude:
        place = machine(repo, mark, codex, claude)
        argv: list[str | Path] = [require("codex"), "exec", "--json", "-s", "workspace-write", "-"]
        done = run(argv, cwd=place.path, env=place.env, stdin="Go on.", timeout=patient(LIMIT))
        assert done.code == 0, done.err
        refused, begun, answer = results(codex)
    assert "--max-access" in refused, refused
    assert "pending" in begun and "s/01" in begun, begun
    assert "It is, says claude." in answer and '"outcome"' in answer, answer
    assert place.subjects("s")[1:] == [
        "req 01 codex -> claude: Is app.py fine?",
        "res 01 claude -> codex: done, verify skip",
    ]


def test_a_read_only_turn_of_codex_gives_its_calls_read_access(repo: Repo, mark: dict[str, str]) -> None:
    call = {"to": "claude", "task": "Is app.py fine?", "session": "s"}
    steps: list[Step] = [
        Tool("relay_call", call | {"access": "write"}, "mcp__relay"),
        Tool("relay_call", call, "mcp__relay"),
        Text("Done."),
    ]
    with ModelServer(steps) as codex, ModelServer([Answer()]) as claude:
        place = machine(repo, mark, codex, claude)
        argv: list[str | Path] = [require("codex"), "exec", "--json", "-s", "read-only", "-"]
        done = run(argv, cwd=place.path, env=place.env, stdin="Go on.", timeout=patient(LIMIT))
        assert done.code == 0, done.err
        refused, _ = results(codex)
    assert "more than may be given" in refused, refused
    assert "Relay-Access: read" in place.git("log", "--format=%B", "relay/s")


def test_claude_calls_codex_through_the_server(repo: Repo, mark: dict[str, str]) -> None:
    call = {"to": "codex", "task": "Is app.py fine?", "session": "s"}
    steps: list[Step] = [Tool("mcp__relay__relay_call", call), Text("Done.")]
    with ModelServer([Answer(verify="pass", body="It is, says codex.")]) as codex, ModelServer(steps) as claude:
        place = machine(repo, mark, codex, claude)
        argv: list[str | Path] = [require("claude"), "-p", "--output-format", "json", "--allowedTools", "mcp__relay"]
        done = run(argv, cwd=place.path, env=place.env, stdin="Go on.", timeout=patient(LIMIT))
        assert done.code == 0, done.err
        assert json.loads(done.out)["permission_denials"] == []
        (answer,) = results(claude)
    assert "It is, says codex." in answer, answer
    assert place.subjects("s")[1:] == [
        "req 01 claude -> codex: Is app.py fine?",
        "res 01 codex -> claude: done, verify pass",
    ]
    if sys.platform == "linux":  # what claude keeps in the same file stays when the entry goes
        settings = Path(place.env["CLAUDE_CONFIG_DIR"]) / ".claude.json"
        before = json.loads(settings.read_text())
        assert place.relay("uninstall").code == 0
        after = json.loads(settings.read_text())
        assert "relay" not in after.get("mcpServers", {})
        assert {k: v for k, v in after.items() if k != "mcpServers"} == {
            k: v for k, v in before.items() if k != "mcpServers"
        }
