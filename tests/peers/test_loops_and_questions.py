"""The real codex and claude, with a scripted model: a question and its answer, and a loop of three rounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.browser import started
from support.model_server import Answer, ModelServer, Shell, Step
from support.realcli import claude_env, codex_env, merged
from support.repo import BIN, Repo, sealed_environment
from support.soak import SOAK
from support.terminal import on_terminal
from support.waiting import eventually
from support.website import served

pytestmark = pytest.mark.realcli
ASKS = Answer(status="error", body="I looked at app.py.", question="Which database?", options=("Postgres", "SQLite"))


@pytest.fixture
def machine(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Callable[[str, str], Repo]:
    """The repository, with codex and claude installed, each with a model of its own."""

    def at(codex: str, claude: str) -> Repo:
        home = tmp_path / "home"
        env = merged(codex_env(home, codex), claude_env(home, claude), sealed_environment(home))
        env["PATH"] = os.pathsep.join([str(BIN), env["PATH"]])
        return Repo(repo.path, env | mark)

    return at


@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_a_question_is_answered_in_one_model_call(machine: Callable[[str, str], Repo], peer: str) -> None:
    with ModelServer([ASKS, Answer(verify="pass", body="Moved.")]) as model:
        repo = machine(model.url, model.url)
        done = repo.relay("req", "--to", peer, "--session", "s", "Move the store.", "--json")
        assert done.code == 3, done.err
        data = done.json["data"]
        assert (data["reason"], data["recorded"]) == ("needs-input", "peer")
        assert (data["question"], data["options"]) == ("Which database?", ["Postgres", "SQLite"])
        done = repo.relay("answer", "s/01", "--option", "2", "--json")
        assert done.code == 0 and done.json["data"]["body"] == "Moved."
        assert model.model_calls == 2
        assert "SQLite" in [r for r in model.requests if r.main][-1].prompt
    assert "Relay-Continuation: native" in repo.git("log", "-1", "--format=%B", "relay/s")


def test_a_question_is_answered_at_the_terminal(machine: Callable[[str, str], Repo]) -> None:
    with ModelServer([ASKS, Answer(verify="pass", body="Moved.")]) as model:
        repo = machine(model.url, model.url)
        with on_terminal(repo, "req", "--to", "claude", "--session", "s", "Move the store.", rows=60) as terminal:
            assert terminal.shows("Your answer", 60)
            terminal.type("1\n")
            assert terminal.end(60) == 0 and "Moved." in terminal.text
        assert model.model_calls == 2


@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_a_question_is_answered_in_the_browser(machine: Callable[[str, str], Repo], tmp_path: Path, peer: str) -> None:
    with ModelServer([ASKS, Answer(verify="pass", body="Moved.")]) as model:
        repo = machine(model.url, model.url)
        assert repo.relay("req", "--to", peer, "--session", "s", "Move the store.").code == 3
        with started(tmp_path / "profile") as browser, served(repo, "--answer") as site:
            browser.open(f"http://127.0.0.1:{site.port}/{site.token}/questions.html")
            assert "Which database?" in browser.texts("article")[0]
            browser.driver.find_element("css selector", "article:nth-of-type(1) button[name=option]").click()
            assert eventually(lambda: "Answered" in " ".join(browser.texts("[role=status]")))
        done = repo.relay("wait", "s/02")
        assert done.code == 0 and "Moved." in done.out, done.err
        assert model.model_calls == 2
        assert "Postgres" in [r for r in model.requests if r.main][-1].prompt


def test_the_outer_agent_answers_after_its_shell_has_died(machine: Callable[[str, str], Repo]) -> None:
    """claude calls codex, whose question comes up; claude's shell dies, and a later one answers."""
    inner = "git relay req --to codex --session in --wait 50s 'Move the store.'"
    steps: list[Step] = [
        Shell(f"{inner}; kill -9 $$"),
        Shell("git relay wait in/01 --timeout 50s"),
        Shell("git relay answer in/01 --option 1 --wait 50s"),
        Answer(verify="pass", body="Asked and answered."),
    ]
    with ModelServer(steps) as claude, ModelServer([ASKS, Answer(verify="pass", body="Moved.")]) as codex:
        repo = machine(codex.url, claude.url)
        done = repo.relay("req", "--to", "claude", "--session", "out", "--access", "write", "Have it moved.")
        assert done.code == 0, done.out
        assert codex.model_calls == 2
        results = [r.tool_results[-1] for r in claude.requests if r.main and r.tool_results]
    assert "Which database?" in results[1] and "Moved." in results[2]
    assert repo.relay("ls", "--questions", "--json").json["data"] == []


@pytest.mark.parametrize(("build", "review"), [("codex", "claude"), *([("claude", "codex")] if SOAK else [])])
def test_a_loop_of_three_rounds(machine: Callable[[str, str], Repo], build: str, review: str) -> None:
    """A check that fails, a review that finds, a review that passes."""
    work: list[Step] = [
        step for n in (1, 2, 3) for step in (Shell(f"echo {n} > n.txt"), Answer(verify="skip", body=f"Wrote {n}."))
    ]
    found = Answer(verify="fail", body="- [major] n.txt:1 two is not three\n- [minor] n.txt:1 no unit")
    with ModelServer(work) as builder, ModelServer([found, Answer(verify="pass", body="Fine.")]) as reviewer:
        urls = {build: builder.url, review: reviewer.url}
        repo = machine(urls["codex"], urls["claude"])
        check = "test $(cat n.txt) -ge 2 || { echo too small; exit 1; }"
        words = ("--session", "w", "--build", build, "--review", review, "--check", check)
        done = repo.relay("loop", *words, "Write three into n.txt.", "--json", timeout=180)
        assert done.code == 0, f"{done.out}\n{repo.relay('show', 'w').out}"
        one, two, three = done.json["data"]["rounds"]
        assert (builder.model_calls, reviewer.model_calls) == (6, 2)
        last = [r for r in builder.requests if r.main][-2].prompt
    assert one["checks"][0]["result"] == "fail (exit 1)" and one["reviews"] == []
    assert [f["severity"] for f in two["findings"]] == ["major", "minor"] and len(two["open"]) == 1
    assert three["open"] == [] and f"#{two['open'][0]}" in last
    assert (repo.path / "n.txt").read_text() == "3\n"
    assert repo.relay("fsck").code == 0
