"""`git relay peers test NAME`: its cases on the fake peer and the four real ones, and what it says of a bad one."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gitrelay.setup.conformance import CASES
from support.markdown import section
from support.model_server import Answer, ModelServer, Request, Shell, Step, Write
from support.places import FAKE_PEER, ROOT
from support.realcli import (
    claude_agent_acp_env,
    claude_env,
    codex_acp_env,
    codex_env,
    copilot_env,
    gemini_env,
    merged,
    opencode_env,
    qwen_env,
)
from support.repo import BIN, Done, Repo, sealed_environment
from support.soak import SOAK
from support.waiting import eventually, patient

LIMIT = 170.0  # seconds for all cases; five calls, gemini and opencode take 2 to 6 for each
ENV: dict[str, Callable[[Path, str], dict[str, str]]] = {
    "claude": claude_env,
    "codex": codex_env,
    "copilot": copilot_env,
    "gemini": gemini_env,
    "opencode": opencode_env,
    "qwen": qwen_env,
}
ACP: dict[str, tuple[str, Callable[[Path, str], dict[str, str]]]] = {
    "gemini": ("gemini --acp --skip-trust", gemini_env),
    "opencode": ("opencode acp", opencode_env),
    "codex-acp": ("codex-acp", codex_acp_env),
    "claude-agent-acp": ("claude-agent-acp", claude_agent_acp_env),
    "qwen": ("qwen --acp", qwen_env),
    "copilot": ("copilot --acp", copilot_env),
}


def play(request: Request) -> Step:
    """The model of a peer that does what the cases ask for, told from the prompt."""
    if not request.tool_results:
        command = re.search(r"^Run this shell command.*: (touch begun\.txt; .*)$", request.prompt, re.MULTILINE)
        if command:
            return Shell(command[1])
        if "forbidden.txt" in request.prompt:
            return Write("forbidden.txt", "x\n")
        if "written.txt" in request.prompt:  # qwen names what is new in the tree in later prompts too
            return Write("written.txt", "written\n")
    return Answer(body="ready")


def outcomes(done: Done) -> dict[str, str]:
    return {row["case"]: row["outcome"] for row in done.json["data"]["cases"]}


def details(done: Done) -> dict[str, str]:
    return {row["case"]: row["detail"] for row in done.json["data"]["cases"] if row["detail"]}


@pytest.fixture
def place(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Repo:
    """Temporary folders are made where the test can look."""
    (tmp_path / "tmp").mkdir()
    return Repo(repo.path, {**repo.env, **mark, "TMPDIR": str(tmp_path / "tmp")})


def check_left(repo: Repo) -> None:
    """Nothing: no repository, no branch here, no file."""
    assert not [name for name in os.listdir(repo.env["TMPDIR"]) if name.startswith("git-relay")]
    assert repo.git("for-each-ref", "refs/heads/relay") == ""
    assert repo.git("status", "--porcelain") == ""


def fake(repo: Repo, tmp_path: Path, mode: str) -> Mapping[str, str]:
    """A program `fake` on PATH, configured as the peer of that name; the environment to call it in."""
    script = tmp_path / "bin" / "fake"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-P", str(FAKE_PEER)])} "$@"\n')
    script.chmod(0o755)
    repo.git("config", "relay.fake.command", f"fake {mode} {{access}}")
    repo.git("config", "relay.fake.env", f"FAKE_PEER_SAW={tmp_path / 'saw'}")
    return {"PATH": os.pathsep.join([str(script.parent), repo.env["PATH"]])}


def test_a_fake_peer_passes(place: Repo, tmp_path: Path) -> None:
    env = fake(place, tmp_path, "conformant")
    done = place.relay("peers", "test", "fake", "--json", env=env, timeout=LIMIT)
    assert done.code == 0, done.out
    expected = {case.name: "pass" for case in CASES} | {"version": "skip"}
    assert outcomes(done) == expected
    assert done.json["data"]["paid_calls"] == 5
    documented = section((ROOT / "docs/json.md").read_text(), "`peers test NAME`")
    assert all(set(row) == documented for row in done.json["data"]["cases"])
    assert len((tmp_path / "saw").read_text().splitlines()) == 5
    assert "5 paid calls" in done.err
    check_left(place)


def test_it_prints_a_line_for_each_case(place: Repo, tmp_path: Path) -> None:
    """And readers work in workspaces, as users have it."""
    place.git("config", "--global", "relay.isolate", "read")
    env = fake(place, tmp_path, "conformant")
    done = place.relay("peers", "test", "fake", env=env, timeout=LIMIT)
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["skip", *["pass"] * (len(CASES) - 1)]
    assert [re.sub(r" \(\d+\.\d s\).*", "", line.partition("  ")[2]) for line in lines] == [c.name for c in CASES]


@pytest.mark.parametrize(
    ("mode", "failed", "skipped"),
    [
        ("conformant-but-writes", {"read access leaves all as it was": "new forbidden.txt"}, set()),
        (
            "conformant-but-only-says-so",
            {"write access creates a file": "the file is not there"},
            {"cancelled, it leaves no process"},
        ),
        (
            "answer-then-exit-3",
            {
                name: "peer-failed: No answer from fake: the peer ended with exit code 3"
                for name in (
                    "answers a question",
                    "the answer is its own",
                    "a second turn",
                    "read access leaves all as it was",
                    "write access creates a file",
                    "cancelled, it leaves no process",
                )
            },
            set(),
        ),
    ],
)
def test_a_bad_peer_fails(place: Repo, tmp_path: Path, mode: str, failed: dict[str, str], skipped: set[str]) -> None:
    env = fake(place, tmp_path, mode)
    done = place.relay("peers", "test", "fake", "--json", env=env, timeout=LIMIT)
    found = outcomes(done)
    assert done.code == 1
    assert {name for name, outcome in found.items() if outcome == "fail"} == set(failed), details(done)
    assert {name for name, outcome in found.items() if outcome == "skip"} == {"version"} | skipped
    for name, words in failed.items():
        assert words in details(done)[name]
    assert [error["code"] for error in done.json["errors"]] == ["case-failed"] * len(failed)
    check_left(place)


def test_the_limit_of_a_call(place: Repo, tmp_path: Path) -> None:
    env = fake(place, tmp_path, "conformant-but-never-ends")
    done = place.relay("peers", "test", "fake", "--json", "--timeout=1s", env=env, timeout=LIMIT)
    assert done.code == 1
    assert outcomes(done)["ends by itself with stdin closed"] == "fail"
    assert "timeout: No answer from fake" in details(done)["answers a question"]
    check_left(place)


def test_ctrl_c_ends_the_peer_and_removes_the_repository(place: Repo, tmp_path: Path) -> None:
    """Nothing of the peer is left: the fixture `mark` looks."""
    env = fake(place, tmp_path, "hang-silently")
    running = place.start("peers", "test", "fake", env=env)
    assert eventually((tmp_path / "saw").exists)
    running.send_signal(2)
    out, err = running.communicate(timeout=patient(60))
    assert (running.returncode, out.count(b"\n")) == (130, 1), err
    check_left(place)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["test"], "peers test NAME"),
        (["check", "fake"], "peers test NAME"),
        (["test", "nobody"], "unknown peer 'nobody'"),
        (["test", "shell"], "understands no tasks"),
        (["--timeout=1m"], "--timeout goes with"),
        (["test", "codex", "--timeout=soon"], "soon"),
    ],
)
def test_wrong_words(repo: Repo, words: list[str], hint: str) -> None:
    done = repo.relay("peers", *words)
    assert (done.code, done.out) == (2, "")
    assert hint in done.err


@pytest.mark.realcli
@pytest.mark.parametrize("peer", ENV)
def test_a_real_peer_passes(place: Repo, tmp_path: Path, peer: str) -> None:
    home = tmp_path / "home"
    with ModelServer(play) as server:
        real = merged(ENV[peer](home, server.url), sealed_environment(home))
        path = os.pathsep.join([str(BIN), real["PATH"]])
        here = Repo(place.path, {**place.env, **real, "PATH": path, "TMPDIR": place.env["TMPDIR"]})
        done = here.relay("peers", "test", peer, "--json", timeout=LIMIT)
    assert done.code == 0, done.json["data"]["cases"]
    assert outcomes(done) == {case.name: "pass" for case in CASES}
    check_left(here)


# the others take 30 seconds of a core each for their starts
QUICK = tuple(ACP) if SOAK else ("codex-acp", "copilot")


@pytest.mark.realcli
@pytest.mark.parametrize("agent", QUICK)
def test_a_real_agent_passes_over_its_protocol(place: Repo, tmp_path: Path, agent: str) -> None:
    home = tmp_path / "home"
    line, env = ACP[agent]
    place.git("config", "relay.agent.acp", line)
    with ModelServer(play) as server:
        real = merged(env(home, server.url), sealed_environment(home))
        path = os.pathsep.join([str(BIN), real["PATH"]])
        here = Repo(place.path, {**place.env, **real, "PATH": path, "TMPDIR": place.env["TMPDIR"]})
        done = here.relay("peers", "test", "agent", "--json", timeout=LIMIT)
    assert done.code == 0, done.json["data"]["cases"]
    assert outcomes(done) == {case.name: "pass" for case in CASES} | {"version": "skip"}
    check_left(here)
