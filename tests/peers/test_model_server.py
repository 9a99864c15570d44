"""The real codex and claude, driven without gitrelay, work with the scripted model server.

When one of these fails after a version bump, the server no longer speaks what the CLI speaks; look here
before looking for the fault in gitrelay.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.model_server import Answer, Cut, Hang, ModelServer, Shell, Status, Text, Usage, Write
from support.realcli import Finished, claude_env, codex_env, require, run

# Seconds; a run takes under 2 with nothing to wait for, the longest below (codex, five retries) about 8.
LIMIT = 60
SCHEMA = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["done", "error"]},
        "verify": {"type": "string", "enum": ["pass", "fail", "skip"]},
        "body": {"type": "string"},
    },
    "required": ["status", "verify", "body"],
    "additionalProperties": False,
}
Drive = Callable[..., Finished]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    script = """
        git init --quiet --initial-branch=main repo && cd repo
        git -c user.name=T -c user.email=t@example.invalid commit --quiet --allow-empty --message=init
    """
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, timeout=LIMIT)
    return folder


@pytest.fixture
def codex(tmp_path: Path, repo: Path) -> Drive:
    def drive(server: ModelServer, write: bool = False, model: str = "gpt-5.5") -> Finished:
        schema = tmp_path / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        sandbox = "workspace-write" if write else "read-only"
        argv = [str(require("codex")), "exec", "--json", "-s", sandbox, "--output-schema", str(schema), "-"]
        env = codex_env(tmp_path / "home", server.url, model)
        return run(argv, cwd=repo, env=env, stdin="Say hello.", timeout=LIMIT)

    return drive


@pytest.fixture
def claude(tmp_path: Path, repo: Path) -> Drive:
    def drive(server: ModelServer, write: bool = False) -> Finished:
        access = ["acceptEdits", "--allowedTools", "Bash"] if write else ["plan", "--tools", "Read,Glob,Grep"]
        argv = [str(require("claude")), "-p", "--output-format", "stream-json", "--verbose"]
        argv += ["--json-schema", json.dumps(SCHEMA), "--permission-mode", *access]
        # by default it retries a refusal ten times, about three minutes
        env = {**claude_env(tmp_path / "home", server.url), "CLAUDE_CODE_MAX_RETRIES": "1"}
        return run(argv, cwd=repo, env=env, stdin="Say hello.", timeout=LIMIT)

    return drive


def codex_answer(finished: Finished) -> object:
    items = [event["item"] for event in finished.events if event["type"] == "item.completed"]
    messages = [item["text"] for item in items if isinstance(item, dict) and item["type"] == "agent_message"]
    return json.loads(messages[-1])


def claude_result(finished: Finished) -> dict[str, object]:
    return next(event for event in reversed(finished.events) if event["type"] == "result")


# ---------------------------------------------------------------- the server alone


def test_leaving_ends_a_request_that_hangs() -> None:
    ended: list[BaseException] = []

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        body = json.dumps({"tools": [{"name": "Read"}], "messages": []})
        try:
            connection.request("POST", "/v1/messages", body)
            connection.getresponse()
        except http.client.RemoteDisconnected as error:
            ended.append(error)
        finally:
            connection.close()

    with ModelServer([Hang()]) as server:
        client = threading.Thread(target=ask, args=[urlsplit(server.url).port], daemon=True)
        client.start()
        assert server.wait_for_calls(1, timeout=LIMIT)
    client.join(timeout=LIMIT)
    assert len(ended) == 1


# ---------------------------------------------------------------- codex


@pytest.mark.realcli
def test_codex_answers_in_one_model_call(codex: Drive) -> None:
    usage = Usage(input=5000, cached=4000, output=70, reasoning=30)
    with ModelServer([Answer(verify="pass", body="Hi.")], usage) as server:
        finished = codex(server)
    assert finished.code == 0
    assert codex_answer(finished) == {"status": "done", "verify": "pass", "body": "Hi."}
    assert (server.model_calls, len(server.requests), server.strays) == (1, 1, [])
    assert (server.requests[0].path, server.requests[0].prompt) == ("/v1/responses", "Say hello.")
    assert finished.events[-1]["usage"] == {
        "input_tokens": 5000,
        "cached_input_tokens": 4000,
        "cache_write_input_tokens": 0,
        "output_tokens": 70,
        "reasoning_output_tokens": 30,
    }


# the three sets of tools that codex gives its models: see OpenAIResponses
@pytest.mark.parametrize("model", ["gpt-5.5", "unknown-model", "gpt-6-luna"])
@pytest.mark.realcli
def test_codex_runs_a_command_and_writes_a_file(codex: Drive, repo: Path, model: str) -> None:
    with ModelServer([Shell("echo one > one.txt; cat one.txt"), Write("two/2.txt", "two\n"), Answer()]) as server:
        finished = codex(server, write=True, model=model)
    assert finished.code == 0
    assert (repo / "one.txt").read_text() == "one\n"
    assert (repo / "two" / "2.txt").read_text() == "two\n"
    assert server.model_calls == 3
    assert "one\n" in server.requests[1].tool_results[0]


@pytest.mark.realcli
def test_codex_reports_a_refused_key(codex: Drive) -> None:
    with ModelServer([Status(401)]) as server:
        finished = codex(server)
    assert finished.code == 1
    assert finished.events[-1]["type"] == "turn.failed"
    assert "401 Unauthorized" in finished.out
    assert server.model_calls > 1


@pytest.mark.realcli
def test_codex_goes_on_after_a_cut_stream(codex: Drive) -> None:
    with ModelServer([Cut(), Answer(body="Second try.")]) as server:
        finished = codex(server)
    assert finished.code == 0
    assert codex_answer(finished) == {"status": "done", "verify": "skip", "body": "Second try."}
    assert server.model_calls == 2


# ---------------------------------------------------------------- claude


@pytest.mark.realcli
def test_claude_answers_in_one_model_call(claude: Drive) -> None:
    usage = Usage(input=5000, cached=4000, output=70)
    with ModelServer([Answer(verify="pass", body="Hi.")], usage) as server:
        finished = claude(server)
    result = claude_result(finished)
    assert finished.code == 0
    assert result["structured_output"] == {"status": "done", "verify": "pass", "body": "Hi."}
    assert (server.model_calls, len(server.requests), server.strays) == (1, 1, [])
    assert (server.requests[0].path, server.requests[0].prompt) == ("/v1/messages", "Say hello.")
    spent = result["usage"]
    assert isinstance(spent, dict)
    assert (spent["input_tokens"], spent["cache_read_input_tokens"], spent["output_tokens"]) == (
        1000,
        4000,
        70,
    )


@pytest.mark.realcli
def test_claude_runs_a_command_and_writes_a_file(claude: Drive, repo: Path) -> None:
    with ModelServer([Shell("echo one > one.txt; cat one.txt"), Write("two/2.txt", "two\n"), Answer()]) as server:
        finished = claude(server, write=True)
    assert finished.code == 0
    assert (repo / "one.txt").read_text() == "one\n"
    assert (repo / "two" / "2.txt").read_text() == "two\n"
    assert server.model_calls == 3
    assert server.requests[1].tool_results == ["one"]


@pytest.mark.realcli
def test_claude_asks_again_for_an_answer_outside_the_schema(claude: Drive) -> None:
    with ModelServer([Answer(status="maybe"), Text("Just words."), Answer(body="Third try.")]) as server:
        finished = claude(server)
    assert claude_result(finished)["structured_output"] == {
        "status": "done",
        "verify": "skip",
        "body": "Third try.",
    }
    assert server.model_calls == 3


@pytest.mark.realcli
def test_claude_reports_a_refused_key(claude: Drive) -> None:
    with ModelServer([Status(401)]) as server:
        finished = claude(server)
    result = claude_result(finished)
    assert finished.code == 1
    assert (result["is_error"], result["api_error_status"]) == (True, 401)
    assert server.model_calls == 2


@pytest.mark.realcli
def test_claude_goes_on_after_a_cut_stream(claude: Drive) -> None:
    with ModelServer([Cut(), Answer(body="Second try.")]) as server:
        finished = claude(server)
    assert finished.code == 0
    assert server.model_calls == 2
