"""A session's next turn resumes the peer's own conversation, and says so; where that is gone, it reads files."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from gitrelay.calls import continuation
from gitrelay.calls.continuation import Conversation
from gitrelay.history.exchange import Exchange
from gitrelay.peers.registry import BUILT_IN
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Commit
from support.model_server import Answer, ModelServer
from support.realcli import claude_env, codex_env, require
from support.repo import BIN, Repo

CODEX = BUILT_IN["codex"].capabilities


def turn(id_: str, to: str, **trailers: str) -> Exchange:
    own = {key.replace("_", "-"): value for key, value in trailers.items()}
    request = Commit("a" * 40, 0, "", {"Relay-To": to})
    return Exchange(Address("s", id_), request, Commit("b" * 40, 0, "", own) if own else None)


def test_the_last_conversation_of_the_same_peer_is_continued() -> None:
    before = [
        turn("01", "codex", Relay_Peer_Session="first-1", Relay_Usage="input=100 output=5", Relay_Recorded="peer"),
        turn("02", "claude", Relay_Peer_Session="other-1", Relay_Recorded="peer"),
        turn("03", "codex", Relay_Peer_Session="first-1", Relay_Usage="input=50 output=x", Relay_Recorded="peer"),
        turn("04", "shell", Relay_Recorded="peer"),
        turn("05", "codex"),
    ]
    found = continuation.find(before, "codex", "05", CODEX)
    assert found == Conversation("first-1", ("04",), {"input": Decimal(150), "output": Decimal(5)})
    assert continuation.find(before, "gpt", "05", CODEX) is None
    assert continuation.find(before, "shell", "05", BUILT_IN["shell"].capabilities) is None


@pytest.mark.parametrize("bad", ["", "-rf", "a b", "../x", "x" * 200, "a\nb"])
def test_an_id_that_could_be_an_option_or_a_path_is_not_used(bad: str) -> None:
    before = [turn("01", "codex", Relay_Peer_Session=bad, Relay_Recorded="peer")]
    assert continuation.find(before, "codex", "02", CODEX) is None


@pytest.mark.parametrize(("reason", "resumed"), [("timeout", True), ("quota", True), ("bad-output", False)])
def test_a_conversation_that_may_be_broken_is_left(reason: str, resumed: bool) -> None:
    before = [
        turn(
            "01",
            "codex",
            Relay_Peer_Session="abcd",
            Relay_Recorded="gitrelay",
            Relay_Status="error",
            Relay_Reason=reason,
        )
    ]
    assert (continuation.find(before, "codex", "02", CODEX) is not None) is resumed


def test_cumulative_figures_become_this_turns_own() -> None:
    spent = {"input": Decimal(100), "cost_usd": Decimal("0.01")}
    reported = {"input": "250", "output": "7", "cost_usd": "0.03"}
    assert continuation.of_this_turn(reported, spent, CODEX) == {"input": "150", "output": "7", "cost_usd": "0.03"}
    claude = BUILT_IN["claude"].capabilities
    assert continuation.of_this_turn(reported, spent, claude)["cost_usd"] == "0.02"
    assert continuation.of_this_turn({"input": "60"}, spent, CODEX) == {"input": "60"}


def environment_of(peer: str, home: Path, url: str) -> dict[str, str]:
    require(peer)
    env = {"codex": codex_env, "claude": claude_env}[peer](home, url)
    return {**env, "PATH": f"{BIN}:{env['PATH']}"}


def trailer(repo: Repo, key: str) -> list[str]:
    """A trailer of every response of session s that has it, oldest first."""
    lines = repo.git("log", "--reverse", f"--format=%(trailers:key={key},valueonly)", "--grep=^res ", "relay/s")
    return [line for line in lines.splitlines() if line]


@pytest.mark.realcli
@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_the_real_conversation_is_resumed_and_its_usage_is_the_turns_own(peer: str, repo: Repo, tmp_path: Path) -> None:
    with ModelServer(
        [Answer("done", "skip", "one"), Answer("done", "skip", "two"), Answer("done", "skip", "3")]
    ) as model:
        env = environment_of(peer, tmp_path / "peer", model.url)
        for access, task in (("write", "First task."), ("read", "Second task."), ("write", "Third task.")):
            done = repo.relay("req", "--to", peer, "--session", "s", "--access", access, task, env=env)
            assert done.code == 0, done.err
        assert model.model_calls == 3
        last = str(model.requests[-1].body)
        for words in ("First task.", "Second task.", "Third task.", "need not be read again"):
            assert words in last
    assert trailer(repo, "Relay-Continuation") == ["native", "native"]
    assert len(set(trailer(repo, "Relay-Peer-Session"))) == 1
    assert len(set(trailer(repo, "Relay-Usage"))) == 1, "each turn used the same"


@pytest.mark.realcli
@pytest.mark.parametrize("peer", ["codex", "claude"])
def test_a_conversation_that_is_gone_falls_back_to_the_files(peer: str, repo: Repo, tmp_path: Path) -> None:
    with ModelServer([Answer("done", "skip", "fine")]) as model:
        env = environment_of(peer, tmp_path / "peer", model.url)
        assert repo.relay("req", "--to", peer, "--session", "s", "First task.", env=env).code == 0
        shutil.rmtree(tmp_path / "peer")
        env = environment_of(peer, tmp_path / "peer", model.url)
        done = repo.relay("req", "--to", peer, "--session", "s", "Second task.", env=env)
        assert done.code == 0, done.err
        assert model.model_calls == 2
        assert "First task." not in str(model.requests[-1].body)
        assert "read all .md files in .relay/s/ in order first" in str(model.requests[-1].body)
    assert trailer(repo, "Relay-Continuation") == ["files"]
    assert "is gone; the peer was given the turns as files" in repo.git("log", "-1", "--format=%b", "relay/s")
    assert len(set(trailer(repo, "Relay-Peer-Session"))) == 2


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("printf 'NotFoundError\\n data: {\\n  message: \"Session not found: ses_a\",\\n' >&2", 0),
        ("echo 'Error: Session not found' >&2", 1),
        ("echo 'Error: Session not found'", 0),
        ("""echo '{"type":"error","error":{"name":"NotFoundError","data":{"message":"session not found"}}}'""", 0),
    ],
)
def test_a_conversation_that_is_gone_is_noticed_whatever_the_exit_code(
    repo: Repo, tmp_path: Path, printed: str, code: int
) -> None:
    """opencode 1.18 was seen to end with 0, and to say it on stderr, on stdout and in an event."""
    answer = """
        echo '{"type":"step_start","sessionID":"ses_a","part":{}}'
        echo '{"type":"text","sessionID":"ses_a","part":{"text":"fine"}}'
        echo '{"type":"step_finish","sessionID":"ses_a","part":{"reason":"stop"}}'
    """
    script = tmp_path / "bin" / "opencode"
    script.parent.mkdir()
    script.write_text(
        f"""#!/bin/sh
        case " $* " in *" --version "*) echo 1.18.33; exit;; *" --help "*) exit;; esac
        cat > /dev/null; echo call >> {tmp_path}/calls
        case " $* " in *" -s ses_a"*) {printed}; exit {code};; esac
        {answer}"""
    )
    script.chmod(0o755)
    env = {"PATH": f"{script.parent}:{repo.env['PATH']}"}
    for task in ("one", "two"):
        done = repo.relay("req", "--to", "opencode", "--session", "s", task, env=env)
        assert done.code == 0 and done.out.endswith("fine\n"), done.out
    assert trailer(repo, "Relay-Continuation") == ["files"]
    assert (tmp_path / "calls").read_text().split() == ["call"] * 3
    assert "the conversation ses_a is gone" in repo.git("log", "-1", "--format=%b", "relay/s")


@pytest.mark.realcli
def test_what_others_said_meanwhile_is_named(repo: Repo, tmp_path: Path) -> None:
    with ModelServer([Answer("done", "skip", "fine")]) as model:
        env = environment_of("codex", tmp_path / "peer", model.url)
        assert repo.relay("req", "--to", "codex", "--session", "s", "First.", env=env).code == 0
        assert repo.relay("req", "--to", "shell", "--session", "s", "echo between").code == 0
        assert repo.relay("req", "--to", "codex", "--session", "s", "Third.", env=env).code == 0
        assert "New to you are .relay/s/02.*.md" in str(model.requests[-1].body)


def test_agents_that_call_agents_are_stopped_at_the_third_level(repo: Repo) -> None:
    repo.git("config", "relay.again.command", "sh -c 'git-relay req --from again --to again go'")
    done = repo.relay("req", "--from", "uma", "--to", "again", "--name", "go", "go")
    assert done.code == 4, done.out
    assert len(repo.git("for-each-ref", "refs/heads/relay").splitlines()) == 3
    reasons = repo.git("log", "--all", "--format=%(trailers:key=Relay-Reason,valueonly)").split()
    assert sorted(reasons) == ["peer-failed", "peer-failed", "recursion"]
    refused = repo.relay(
        "req", "--to", "shell", "--session", "s", "true", env={"GITRELAY_DEPTH": "2", "GITRELAY_CHAIN": "a/01 b/02"}
    )
    assert refused.code == 4 and "too deep: a/01 -> b/02 -> s/01" in refused.out
    repo.git("config", "relay.maxDepth", "3")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true", env={"GITRELAY_DEPTH": "2"}).code == 0
