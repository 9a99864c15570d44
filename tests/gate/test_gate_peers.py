"""The review gate with the real codex and claude as reviewers: they read the diff, and their verdict decides."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import sshserver
from support.ledgercheck import assert_valid
from support.model_server import Answer, ModelServer, Request, Shell, Step, Tool
from support.realcli import PINS, claude_env, codex_env, merged
from support.repo import BIN, Done, Repo, sealed_environment

pytestmark = pytest.mark.realcli


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshserver.Server]:
    with sshserver.serving(tmp_path_factory.mktemp("ssh") / "d") as found:
        yield found


def play(request: Request) -> Step:
    """The model of a reviewer: it reads the diff, with git where it may run commands, else the file, and decides."""
    if not request.tool_results:
        command = re.search(r"^    (git diff \S+ \S+)$", request.prompt, re.MULTILINE)
        patch = re.search(r"in the file (\S+), for you", request.prompt)
        assert command is not None and patch is not None
        if request.path.endswith("/messages"):  # claude, who may not run git under read access
            return Tool("Read", {"file_path": patch[1]})
        return Shell(command[1])
    assert "app.py" in request.tool_results[0], request.tool_results
    if "BAD" in request.tool_results[0]:
        return Answer(verify="fail", body="- [blocker] app.py:2 BAD is not a word of python; take it out")
    return Answer(verify="pass", body="No findings.")


@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_its_verdict_stops_the_push_or_lets_it_go(
    peer: str, repo: Repo, mark: dict[str, str], tmp_path: Path, server: sshserver.Server
) -> None:
    with ModelServer(play) as model:
        home = tmp_path / "home"
        env = merged(codex_env(home, model.url), claude_env(home, model.url), sealed_environment(home)) | mark
        env |= {"PATH": os.pathsep.join([str(BIN), env["PATH"]]), "GIT_SSH_COMMAND": server.command}
        here = Repo(repo.path, env)
        origin = tmp_path / "origin.git"
        here.sh(
            f"git init -q --bare {origin}; git remote add origin {server.url(origin)}\n"
            "git push -q origin main; git fetch -q; git remote set-head origin main\n"
            "echo BAD >>app.py; git commit -qam bad"
        )
        start = here.git("rev-parse", "origin/main")
        assert here.relay("hooks", "install", "pre-push", "--to", peer).code == 0

        stopped = push(here)
        assert stopped.code == 1 and "- [blocker] app.py:2 BAD is not a word of python" in stopped.err, stopped.err
        assert here.git("ls-remote", "origin", "main").split()[0] == start
        here.sh("sed -i '$d' app.py; echo 'print(2)' >>app.py; git commit -qa --amend -m good")
        gone = push(here)
        assert gone.code == 0 and f"passed: {peer} says pass (review-main/02)" in gone.err, gone.err
        assert here.git("ls-remote", "origin", "main").split()[0] == here.git("rev-parse", "HEAD")
        assert here.relay("check", "HEAD~1..HEAD", "--to", peer).code == 0
    said = here.git("log", "--format=%(trailers:only,unfold)", "relay/review-main")
    assert f"Relay-Peer: {peer} {PINS[peer]}" in said and said.count("Relay-Sandbox: held") == 2
    assert "Relay-Continuation: native" in said, "the second review knows the first"
    assert model.strays == []
    assert_valid(here, "review-main")
    assert here.relay("fsck").code == 0


def push(repo: Repo) -> Done:
    done = subprocess.run(
        ["git", "push", "-q", "origin", "main"],
        cwd=repo.path,
        env=dict(repo.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
