"""The real codex and claude in a workspace: an edit, a question that resumes the turn before, a call of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Shell, Step, Write
from support.realcalls import ask, trailers
from support.realcli import claude_env, codex_env, merged
from support.repo import BIN, Repo, sealed_environment

pytestmark = pytest.mark.realcli


@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_a_writer_stays_in_its_workspace_and_is_resumed_there(repo: Repo, peer: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    script: list[Step] = [
        Write("work/new.py", "print(6 * 7)\n"),
        Shell("git status --porcelain; python3 work/new.py; git relay ls"),
        Answer(verify="pass", body="Written."),
        Answer(verify="pass", body="It is there."),
    ]
    if peer == "claude":  # codex's sandbox keeps .git read-only
        script.insert(2, Shell("git relay req --to shell --session inner 'cat work/new.py'"))
    with ModelServer(script) as server:
        env = merged(codex_env(home, server.url), claude_env(home, server.url), sealed_environment(home))
        env["PATH"] = os.pathsep.join([str(BIN), env["PATH"]])
        here = Repo(repo.path, env)
        first = ask(here, peer, "--isolate")
        assert first.code == 0, first.out + first.err
        second = ask(here, peer, "--isolate", task="Is it there?")
        assert second.code == 0, second.out + second.err
    workspace = repo.path / ".relay/.work/s"
    assert (workspace / "work/new.py").read_text() == "print(6 * 7)\n"
    assert not (repo.path / "work").exists() and here.git("status", "--porcelain") == ""
    said = "\n".join(server.requests[len(script) - 2].tool_results)
    assert "work/" in said and "42" in said
    found = trailers(here)
    assert (found["Relay-Workspace"], found["Relay-Continuation"]) == ("isolated", "native")
    changed = here.relay("diff", "s/01", "--json").json["data"]["files"]
    assert [one["path"] for one in changed] == ["work/new.py"]
    if peer == "claude":
        assert here.relay("show", "inner/01", "--json").json["data"][0]["outcome"] == "pass"
    assert here.relay("fsck").code == 0
