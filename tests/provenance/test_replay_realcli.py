"""A replay with the real codex and the real claude: what they did is read from their own events."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Shell, Step, Write
from support.realcalls import LIMIT, ask
from support.realcli import claude_env, codex_env, merged
from support.repo import BIN, Repo, sealed_environment

pytestmark = pytest.mark.realcli


def test_codex_again_and_claude(repo: Repo, tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = "print(6 * 7)\n"
    check = 'test "$(python3 work/new.py)" = 42'
    script: list[Step] = [
        *(Write("work/new.py", work), Answer(verify="pass", body="Written.")),
        *(
            Shell("git log --all --format=%an; git status --porcelain"),
            Write("work/new.py", work),
            Answer(body="Again."),
        ),
        *(Shell("pwd; git log --format=%an"), Write("work/new.py", "print(41)\n"), Answer(verify="pass", body="Sure.")),
    ]
    with ModelServer(script) as server:
        env = merged(codex_env(home, server.url), claude_env(home, server.url), sealed_environment(home))
        env["PATH"] = os.pathsep.join([str(BIN), env["PATH"]])
        here = Repo(repo.path, env)
        first = ask(here, "codex", "--check", check)
        assert first.code == 0, first.out + first.err
        done = here.relay("replay", "s/01", "--to", "claude", "--yes", "--json", timeout=3 * LIMIT)
    assert done.code == 0, done.err
    data = done.json["data"]
    again, new = data["arms"]
    assert (again["label"], again["passed"], again["errors"]) == ("codex again", 1, {}), done.json
    assert (new["label"], new["passed"], new["of"], new["errors"]) == ("claude", 0, 1, {})
    assert [run["signs"] for run in data["runs"]] == [["history"], []] and data["winner"] is None
    seen = ["\n".join(request.tool_results) for request in server.requests]
    assert any("nobody" in text for text in seen) and not any(str(repo.path) in text for text in seen[2:])
    assert (repo.path / "work/new.py").read_text() == work, "what the other one wrote is not here"
    assert here.relay("fsck").code == 0
