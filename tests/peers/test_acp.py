"""Peers that speak the Agent Client Protocol: a scripted agent that goes wrong in every way we know, a real process."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from support.realcalls import trailers
from support.repo import Done, Repo
from support.waiting import eventually

LIMIT = 240.0  # seconds; a flood of 128 MB takes 10 of a core
AGENT = Path(__file__).parents[1] / "support/fake_agent.py"


@pytest.fixture
def ask(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Any:
    """Ask the agent in a mode; with read access by its mode `look`."""

    def asked(mode: str, *words: str, session: str = "s") -> Done:
        repo.git("config", "relay.agent.acp", shlex.join([sys.executable, "-P", str(AGENT), mode]))
        repo.git("config", "relay.agent.readMode", "look")
        env = {**mark, "FAKE_AGENT_SAW": str(tmp_path / "saw")}
        return repo.relay(
            "req", "--to", "agent", "--session", session, *words, "Look at app.py.", env=env, timeout=LIMIT
        )

    return asked


def saw(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "saw").read_text().splitlines()]


def found(repo: Repo) -> dict[str, str]:
    return trailers(repo)


def test_a_turn_and_the_next(repo: Repo, ask: Any, tmp_path: Path) -> None:
    """The order of the protocol, what is offered, and the second turn by session/load, whose history is no answer."""
    first = ask("good", "--access=write")
    assert (first.code, first.out.splitlines()[-1]) == (0, "It is fine."), first.err
    record = found(repo)
    assert (record["Relay-Recorded"], record["Relay-Peer-Session"]) == ("peer", "ses-1")
    assert record["Relay-Peer"].endswith(" 1.2.3")
    assert record["Relay-Usage"] == "input=15 cached=5 output=3"
    messages = saw(tmp_path)
    assert [m.get("method") for m in messages] == ["initialize", "session/new", "session/prompt"]
    able = messages[0]["params"]["clientCapabilities"]
    assert (able["fs"], able["terminal"]) == ({"readTextFile": False, "writeTextFile": False}, False)
    assert messages[1]["params"] == {"cwd": str(repo.path), "mcpServers": []}
    second = ask("good", "--access=read")
    assert second.code == 0, second.err
    assert found(repo)["Relay-Continuation"] == "native"
    assert found(repo)["Relay-Sandbox"] == "held"
    assert "played again" not in second.out
    methods = [m.get("method") for m in saw(tmp_path)[3:]]
    assert methods == ["initialize", "session/load", "session/set_mode", "session/prompt"]


@pytest.mark.parametrize("mode", ["loses-sessions", "forgets"])
def test_a_conversation_that_cannot_be_resumed_goes_on_from_files(repo: Repo, ask: Any, mode: str) -> None:
    assert ask("good").code == 0
    done = ask(mode)
    assert done.code == 0, done.err
    assert found(repo)["Relay-Continuation"] == "files"


ANSWERS = {
    "noise": "It is fine.",  # on stdout, before the protocol
    "notices": "It is fine.",  # as chunks of the answer
    "glued": "It is fine.",  # with no messages at all
    "fs": "-32601 -32601",  # nothing was offered
    "stays": "It is fine.",  # it does not end
}


@pytest.mark.parametrize("mode", ANSWERS)
def test_the_answer_is_found(repo: Repo, ask: Any, mode: str) -> None:
    done = ask(mode)
    assert (done.code, done.out.partition("\n---\n\n")[2]) == (0, ANSWERS[mode] + "\n"), done.err
    assert found(repo)["Relay-Recorded"] == "peer"


NONE = {
    "only-notices": ("bad-output", "Info: nothing to do"),
    "error-as-text": ("auth", "your key is wrong"),
    "contradicts": ("bad-output", "contradict each other"),
    "other-request": ("bad-output", "It is fine."),
    "cut": ("bad-output", "cut off"),
    "refuses": ("refused", "refused"),
    "v2-only": ("unavailable", "speaks version 2"),
    "wants-login": ("auth", "Authentication required"),
    "no-session": ("peer-failed", "gave no session"),
    "endless-words": ("bad-output", "longer than a response can be"),
    "permission-flood": ("peer-failed", "more than 500 times"),
    "request-flood": ("peer-failed", "more than 2000 requests"),
    "floods-stdout": ("bad-output", "more than 134217728 bytes"),
    "always-cancelled": ("peer-failed", "ended the turn with cancelled"),
    "dies-at-initialize": ("peer-failed", "I am out of here"),
    "dies-at-session/new": ("peer-failed", "I am out of here"),
    "dies-at-session/prompt": ("peer-failed", "I am out of here"),
}


@pytest.mark.parametrize("mode", NONE)
def test_why_there_is_no_answer(repo: Repo, ask: Any, mode: str) -> None:
    """Nothing of the agent is left: the fixture `mark` looks."""
    access = "--access=read" if mode == "always-cancelled" else "--access=write"
    done = ask(mode, access, "--timeout=4m")
    reason, words = NONE[mode]
    assert done.code == 4, done.out
    assert found(repo)["Relay-Reason"] == reason, done.out
    assert words in done.out


def test_it_dies_when_its_mode_is_set(repo: Repo, ask: Any) -> None:
    assert ask("dies-at-session/set_mode", "--access=read").code == 4
    assert found(repo)["Relay-Reason"] == "peer-failed"


def test_an_endless_prompt_ends_at_the_limit(repo: Repo, ask: Any) -> None:
    assert ask("endless", "--timeout=1s").code == 5
    assert found(repo)["Relay-Reason"] == "timeout"


ALLOWED = {
    "read": "look",
    "write": "look run-as-read edit run",
    "full": "look run-as-read edit edit-outside edit-up edit-git run run-outside switch",
}


@pytest.mark.parametrize("access", ALLOWED)
def test_what_it_asks_for_is_judged_by_the_access(repo: Repo, ask: Any, access: str) -> None:
    done = ask("asks", f"--access={access}")
    assert (done.code, done.out.splitlines()[-1]) == (0, ALLOWED[access]), done.out
    refused = 9 - len(ALLOWED[access].split())
    assert found(repo).get("Relay-Denied") == (str(refused) if refused else None)


def test_a_refusal_that_ends_the_turn_is_followed_by_another_prompt(repo: Repo, ask: Any) -> None:
    done = ask("refusal-ends", "--access=read")
    assert (done.code, done.out.splitlines()[-1]) == (0, "again: That tool call was refused: you"), done.out
    assert found(repo)["Relay-Usage"] == "input=30 cached=10 output=6"


def test_a_mode_that_lies_is_seen_afterwards(repo: Repo, ask: Any) -> None:
    done = ask("lies", "--access=read")
    assert done.code == 4
    assert (found(repo)["Relay-Reason"], found(repo)["Relay-Sandbox"]) == ("sandbox", "violated")
    assert (repo.path / "forbidden.txt").read_text() == "look", "it was set to the mode that it says it keeps"


@pytest.mark.parametrize(
    ("mode", "words"), [("no-modes", "offers no mode look"), ("leaves-mode", "left the mode look")]
)
def test_without_its_mode_read_ends(repo: Repo, ask: Any, mode: str, words: str) -> None:
    done = ask(mode, "--access=read")
    assert (done.code, words in done.out) == (4, True), done.out


def test_read_is_refused_if_no_mode_is_known_to_keep_it(repo: Repo, ask: Any) -> None:
    ask("good")
    repo.git("config", "--unset", "relay.agent.readMode")
    done = repo.relay("req", "--to", "agent", "--session", "s", "--access=read", "Look.")
    assert done.code == 2
    assert "cannot be held to read access" in done.err


def test_a_question_to_its_user_becomes_one_of_ours(repo: Repo, ask: Any, tmp_path: Path) -> None:
    done = ask("elicits", "--json")
    assert done.code == 3, done.err
    data = done.json["data"]
    assert (data["reason"], data["question"]) == ("needs-input", "Which database?")
    assert data["options"] == ["Postgres", "MySQL"]
    assert "session/cancel" in [m.get("method") for m in saw(tmp_path)]


def test_cancel_tells_the_agent_and_ends_what_it_started(repo: Repo, ask: Any, tmp_path: Path) -> None:
    """The fixture `mark` looks for the sleep."""
    assert ask("runs", "-d").code == 0
    assert eventually(lambda: (tmp_path / "saw").exists() and "session/prompt" in (tmp_path / "saw").read_text())
    assert repo.relay("cancel", "s/01").code in (0, 4)
    assert found(repo)["Relay-Reason"] == "cancelled"
    assert saw(tmp_path)[-1]["method"] == "session/cancel"


def test_settings_that_are_wrong(repo: Repo) -> None:
    for value, words in (("'a", "quote it as for a shell"), ("", "is empty")):
        repo.git("config", "relay.agent.acp", value)
        done = repo.relay("req", "--to", "agent", "Look.")
        assert (done.code, words in done.err) == (2, True), done.err
    repo.git("config", "relay.agent.acp", "agent --acp")
    repo.git("config", "relay.agent.command", "agent")
    done = repo.relay("req", "--to", "agent", "Look.")
    assert (done.code, "are both set" in done.err) == (2, True), done.err
