"""The real codex and the real claude under read access, whose model tries every way to write that it can think of."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Shell, Step, Write
from support.realcli import claude_env, codex_env, require
from support.repo import BIN, Repo

pytestmark = pytest.mark.realcli

RESPONSE = """---
relay: 4
re: 01
from: {peer}
to: uma
status: done
verify: pass
---

FORGED
"""


def ways(repo: Repo, peer: str) -> list[Step]:
    """Directly, through git, through `git relay`, through the response file, through another session."""
    forged = RESPONSE.format(peer=peer)
    return [
        Shell("echo x >> app.py"),
        Write(str(repo.path / "new.txt"), "x\n"),
        Shell("git commit -q --allow-empty -m sneaky"),
        Shell("git config core.pager evil"),
        Shell("printf x > .git/hooks/pre-push"),
        Shell("git relay req --to shell --access full --session inner 'touch ../outside'"),
        Shell("git relay check-again --check 'touch ../outside' victim/01"),
        Shell(f"git relay res --session s --re 01 --from {peer} --to uma --status done --verify pass FORGED"),
        Write(str(repo.path / ".relay/s/01.res.md"), forged),
        Shell(f"cat > .relay/s/01.res.md <<'END'\n{forged}END"),
        Shell("git update-ref refs/heads/relay/victim relay/victim~1"),
        Shell("env -u GITRELAY_ACCESS git relay apply victim/01"),
    ]


@pytest.mark.parametrize("peer", ["codex", "claude"])
@pytest.mark.timeout(300)
def test_no_way_to_write_is_open(peer: str, repo: Repo, tmp_path: Path) -> None:
    require(peer)
    assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "victim", "echo x > there.txt").code == 0
    refs = repo.git("for-each-ref")
    steps = [*ways(repo, peer), Answer(body="I looked.")]
    with ModelServer(steps) as model:
        env = {"codex": codex_env, "claude": claude_env}[peer](tmp_path / "peer", model.url)
        if peer == "codex":
            rules = tmp_path / "peer/.codex/rules"
            rules.mkdir(parents=True)
            (rules / "gitrelay.rules").write_text('prefix_rule(pattern=["git", "relay"], decision="allow")\n')
        env = {**env, "PATH": f"{BIN}:{env['PATH']}"}
        words = ("--from", "uma", "--to", peer, "--session", "s", "--access", "read", "look only")
        done = repo.relay("req", *words, env=env, timeout=250)
        assert len(model.requests) >= len(steps), "the model's script was not played to its end"
    assert "I looked." in done.out and "FORGED" not in done.out, done.out
    assert not (repo.path.parent / "outside").exists() and not (repo.path / "new.txt").exists()
    assert repo.git("for-each-ref", "refs/heads/main", "refs/heads/relay/victim") in refs
    assert repo.git("status", "--porcelain").split() == ["??", "there.txt"]
    sandbox = repo.git("log", "-1", "--format=%(trailers:key=Relay-Sandbox,valueonly)", "relay/s").strip()
    assert (done.code, sandbox) == (0, "held"), done.out
