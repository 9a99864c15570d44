"""The real qwen and copilot, called through gitrelay, with a scripted model behind them.

What they do in code that they share with claude and with opencode is tried there; `peers test` tries the rest
(tests/setup/test_conformance_of_peers.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Status, Step, Usage, Write
from support.realcalls import check_recorded
from support.realcli import copilot_env, merged, qwen_env
from support.repo import BIN, Done, Repo, sealed_environment
from support.soak import SOAK

pytestmark = pytest.mark.realcli
PEERS = {"qwen": qwen_env, "copilot": copilot_env}
LIMIT = 120.0


def call(repo: Repo, home: Path, url: str, peer: str, *options: str) -> tuple[Repo, Done]:
    env = merged(PEERS[peer](home, url), sealed_environment(home))
    env["PATH"] = os.pathsep.join([str(BIN), env["PATH"]])
    here = Repo(repo.path, env)
    words = ("req", "--from", "uma", "--to", peer, "--session", "s", *options, "Look at app.py.")
    return here, here.relay(*words, timeout=LIMIT)


@pytest.mark.parametrize("peer", PEERS)
def test_read_access_answers_and_changes_nothing(repo: Repo, mark: dict[str, str], tmp_path: Path, peer: str) -> None:
    script: list[Step] = [Write("new.txt", "x\n"), Answer(verify="fail", body="It is not fine.")]
    with ModelServer(script, Usage(input=5000, cached=4000, output=70, reasoning=0)) as server:
        here, done = call(repo, tmp_path / "home", server.url, peer, "--access=read")
    found = check_recorded(here, done, peer, None, 1)
    assert (found["Relay-Verify"], found["Relay-Sandbox"]) == ("fail", "held")
    assert done.out.endswith("It is not fine.\n")
    assert found.get("Relay-Usage") == ("input=10000 cached=8000 output=140" if peer == "qwen" else None)
    assert found["Relay-Model"] == "scripted"
    assert server.strays == []


@pytest.mark.parametrize("peer", PEERS)
def test_a_refused_key(repo: Repo, tmp_path: Path, peer: str) -> None:
    with ModelServer([Status(401)]) as server:
        here, done = call(repo, tmp_path / "home", server.url, peer, "--access=read")
    check_recorded(here, done, peer, "auth", 4)
    assert "401" in done.out


@pytest.mark.skipif(not SOAK, reason="a start of qwen takes 8 s of a core; claude's reader reads it in the same way")
def test_qwen_asks_back(repo: Repo, tmp_path: Path) -> None:
    question = Answer(status="error", body="?", question="Which one?", options=("a", "b"))
    with ModelServer([question]) as server:
        _, done = call(repo, tmp_path / "home", server.url, "qwen")
    assert done.code == 3, done.out
    assert "reason: needs-input" in done.out
