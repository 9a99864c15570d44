"""Two clones and a bare remote, as two people would use them, with the real codex as the worker's peer.

What is typed here is what docs/remote.md shows.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.model_server import Answer, Hang, ModelServer, Request, Shell, Step, Usage, Write
from support.realcli import PINS, codex_env
from support.repo import BIN, Done, Repo, sealed_environment, with_one_commit
from support.waiting import eventually

pytestmark = pytest.mark.realcli


def play(request: Request) -> Step:
    """The model behind codex: it answers, writes a file, never answers, or reads a change and decides."""
    task, seen = request.prompt, request.tool_results
    if "What does app.py print?" in task:
        return Answer(verify="skip", body="It prints 1.")
    if "Wait for ever" in task:
        return Hang()
    if "Write two.py" in task:
        return Answer(verify="pass", body="Written.") if seen else Write("two.py", "print(2)\n")
    if not seen:
        command = re.search(r"^    (git log --reverse --patch .*)$", task, re.MULTILINE)
        assert command is not None, task
        return Shell(command[1])
    assert "app.py" in seen[0], seen
    if "BAD" in seen[0]:
        return Answer(verify="fail", body="- [blocker] app.py:2 BAD is not a word of python")
    return Answer(verify="pass", body="No findings.")


@dataclass(frozen=True)
class Two:
    """The clone of who asks, who has no codex, and that of who lets workers run; `worker` answers what waits."""

    here: Repo
    there: Repo
    worker: Callable[[], Done]


@pytest.fixture
def two(tmp_path: Path, mark: dict[str, str]) -> Iterator[Two]:
    with ModelServer(play, Usage(input=5000, cached=4000, output=70)) as model:
        here = with_one_commit(tmp_path, sealed_environment(tmp_path / "home") | mark)
        home = tmp_path / "worker-home"
        peers = codex_env(home, model.url) | {"PATH": os.pathsep.join([str(BIN), codex_env(home, model.url)["PATH"]])}
        there = Repo(tmp_path / "there", {**sealed_environment(home), **peers} | mark)
        here.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git fetch -q")
        here.sh("git remote set-head origin main; git clone -q ../hub.git ../there")
        for repo, name in ((here, "uma"), (there, "worker")):
            subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
            for key, value in (
                ("relay.sign", "true"),
                ("gpg.format", "ssh"),
                ("user.signingKey", str(tmp_path / f"{name}.pub")),
            ):
                repo.git("config", key, value)
            (tmp_path / f"{name}.signers").write_text(
                f'{name} namespaces="git" {(tmp_path / f"{name}.pub").read_text()}'
            )
        words = ("worker", "--remote", "origin", "--peers", "codex", "--signers", str(tmp_path / "uma.signers"))
        yield Two(here, there, lambda: there.relay(*words, "--once", timeout=180))
        assert model.strays == []


def test_a_question_a_change_and_a_budget(two: Two) -> None:
    here, there = two.here, two.there
    asked = here.relay("req", "--on", "origin", "-d", "--to", "codex", "--session", "port", "What does app.py print?")
    assert (asked.code, asked.out) == (0, "port/01\n"), asked.err
    assert two.worker().code == 0
    answered = here.relay("wait", "port/01")
    assert answered.code == 0 and answered.out.endswith("\n\nIt prints 1.\n"), answered.out + answered.err
    words = ("--check", 'test "$(python3 two.py)" = 2', "Write two.py.")
    asked = here.relay("req", "--on", "origin", "-d", "--to", "codex", "--session", "port", *words)
    assert (asked.code, asked.out) == (0, "port/02\n"), asked.err
    assert two.worker().code == 0
    answered = here.relay("wait", "port/02")
    assert answered.code == 0 and "check pass:" in answered.err, answered.out + answered.err
    assert "+print(2)" in here.relay("diff", "port/02").out
    assert here.relay("apply", "port/02").out == "A two.py\n"
    assert (here.path / "two.py").read_text() == "print(2)\n" and not (there.path / "two.py").exists()
    trailers = here.git("log", "--format=%(trailers:only,unfold)", "-1", "--grep=^res 02", "relay/port")
    assert f"Relay-Peer: codex {PINS['codex']}" in trailers
    words = ("--budget", "2s", "Wait for ever.")
    asked = here.relay("req", "--on", "origin", "-d", "--to", "codex", "--session", "dear", *words)
    assert asked.code == 0, asked.err
    assert two.worker().code == 0
    over = here.relay("wait", "dear")
    assert over.code == 4 and "reason: budget" in over.out, over.out + over.err
    for repo in (here, there):
        assert repo.relay("fsck").code == 0
    assert here.git("ls-remote", "origin", "refs/relay/queue/*") == ""


def test_a_review_and_a_call_that_is_cancelled(two: Two, tmp_path: Path) -> None:
    here, there = two.here, two.there
    here.sh("echo BAD >>app.py; git commit -qam bad; echo unsaved >>app.py")
    refused = here.relay("review", "--to", "codex", "--on", "origin")
    assert refused.code == 2 and "relay.origin.workers" in refused.err, refused.err
    here.git("config", "relay.origin.workers", str(tmp_path / "worker.signers"))
    for turn, (word, code) in enumerate((("fail", 1), ("pass", 0)), start=1):
        asked = here.relay("review", "--to", "codex", "--on", "origin", "-d")
        assert (asked.code, asked.out) == (0, f"review-main/{turn:02}\n"), asked.err
        assert here.relay("check", "--to", "codex").code == 8
        assert two.worker().code == 0
        found = here.relay("wait", f"review-main/{turn:02}")
        assert found.code == code and f"verify: {word}\n" in found.out, found.out + found.err
        assert here.relay("check", "--to", "codex").code == code
        if code:
            here.sh(
                "git checkout -q app.py; sed -i '$d' app.py; echo 'print(2)' >>app.py; git commit -qam good --amend"
            )
    assert here.relay("diff", "review-main/01").out == "", "a review changes nothing"
    assert here.relay("fsck").code == 0
    asked = here.relay("req", "--on", "origin", "-d", "--to", "codex", "--session", "long", "Wait for ever.")
    assert asked.code == 0, asked.err
    words = ("worker", "--remote", "origin", "--peers", "codex", "--signers", str(tmp_path / "uma.signers"))
    running = there.start(*words, "--jobs", "1", "--lease", "1.5s")
    try:
        assert eventually(lambda: "taken by" in here.relay("status").err, 60)
        ended = here.relay("cancel", "long")
        assert ended.code == 0 and "cancelled" in ended.out, ended.err
        _, err = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert "the job was taken away" in err.decode()
    assert here.relay("wait", "long").code == 4
