"""Seeing a call work: readable lines in `tail`, and on a terminal while `req` waits; nothing of it on a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from support.model_server import Answer, ModelServer, Shell
from support.realcli import claude_env, codex_env, require
from support.repo import BIN, GIT_RELAY, Repo
from support.waiting import eventually, patient


def on_a_terminal(repo: Repo, *args: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run git-relay with a terminal as stderr: (exit code, what the terminal saw)."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [*GIT_RELAY, *args],
            cwd=repo.path,
            env={**repo.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=follower,
        )
        os.close(follower)
        seen = b""
        try:
            while data := os.read(leader, 65536):
                seen += data
        except OSError:  # Linux: EIO where the last writer has gone
            pass
        return process.wait(timeout=patient(60)), seen.decode()
    finally:
        os.close(leader)


def test_lines_on_a_terminal_and_none_on_a_pipe(repo: Repo) -> None:
    task = "echo begin; printf '\\033[31mred\\033[0m\\007\\n'; echo end"
    code, seen = on_a_terminal(repo, "req", "--to", "shell", "--session", "s", task)
    assert code == 0
    lines = seen.splitlines()
    assert lines[0] == "s/01"
    ended = [line for line in lines if line.startswith("[")]
    assert all("left]" in line or "[ended]" in line for line in ended)
    assert "\x1b" not in seen and "\x07" not in seen
    quiet = repo.relay("req", "--to", "shell", "--session", "s", task)
    assert quiet.err == "s/02\n"


def test_tail_follows_to_the_end(repo: Repo) -> None:
    task = "echo one; until [ -e ../go ]; do sleep 0.05; done; echo two"
    assert repo.relay("req", "--to", "shell", "--session", "s", "-d", task).code == 0
    call = repo.path / ".git/relay/calls/s/call.json"
    note = json.loads(call.read_bytes())
    call.write_text(json.dumps(note | {"started": note["started"] - 100}))
    assert eventually(lambda: repo.relay("tail", "s/01", "--no-follow").out == "[earlier] one\n")
    os.utime(call.with_name("out.log"), (1_000_000_000, 1_000_000_000))
    (running,) = repo.relay("watch", "--plain", "--timeout", "10ms").out.splitlines()
    assert running.startswith("2001-09-0") and "running" in running
    tail = repo.start("tail", "s/01")
    assert eventually(lambda: "one" in repo.relay("tail", "s/01", "--no-follow").out)
    assert tail.stdout is not None
    first = tail.stdout.readline()  # it follows by now
    (repo.path.parent / "go").touch()
    out, err = tail.communicate(timeout=patient(60))
    assert tail.returncode == 0, err
    assert [line.split("] ")[1] for line in (first + out).decode().splitlines()] == ["one", "two"]
    assert b"s/01: done, verify pass" in err
    later = repo.relay("tail", "s/01")
    assert later.out == "[ended] one\n[ended] two\n"


def test_tail_gives_up_after_its_time(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "s", "-d", "sleep 60").code == 0
    assert repo.relay("tail", "s/01", "--timeout", "200ms").code == 8
    assert repo.relay("cancel", "s/01").code == 0


@pytest.mark.realcli
@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_the_real_events_read_well(peer: str, repo: Repo, tmp_path: Path) -> None:
    require(peer)
    with ModelServer((Shell("echo hello; ls"), Answer(body="fine"))) as model:
        home = {"codex": codex_env, "claude": claude_env}[peer](tmp_path / "peer", model.url)
        env = {**home, "PATH": f"{BIN}:{home['PATH']}"}
        assert repo.relay("req", "--to", peer, "--session", "s", "look", env=env).code == 0
    lines = repo.relay("tail", "s/01", "--json").json["data"]["lines"]
    assert any("echo hello; ls" in line and line.startswith(("run:", "Bash:")) for line in lines)
    assert lines[-1] == "answer"
