"""The real codex and claude, called through gitrelay, with a scripted model behind them.

What they do when all goes well, what is recorded when it does not, and that nothing stays behind. What both do in
the same code of gitrelay is tried with one of them (ONE, OTHER), and values are spread over the two; under
GITRELAY_SOAK=1 each is tried with both.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.model_server import Answer, Cut, Hang, ModelServer, Shell, Status, Step, Text, Usage, Write
from support.realcalls import LIMIT, ask, ask_meanwhile, check_recorded, trailers
from support.realcli import PINS, claude_env, codex_env, merged
from support.repo import BIN, Repo, sealed_environment
from support.soak import SOAK, covering
from support.waiting import eventually, patient

pytestmark = pytest.mark.realcli
PEERS = ("codex", "claude")
ONE, OTHER = (PEERS, PEERS) if SOAK else (PEERS[:1], PEERS[1:])
Place = Callable[..., Repo]


@pytest.fixture
def place(repo: Repo, mark: dict[str, str], tmp_path: Path) -> Place:
    """The repository, seen by processes for which both peers are installed and their model is at `url`."""

    def at(url: str, retries: int | None = None) -> Repo:
        home = tmp_path / "home"
        peers = merged(codex_env(home, url, retries=retries), claude_env(home, url), sealed_environment(home))
        peers["PATH"] = os.pathsep.join([str(BIN), peers["PATH"]])
        return Repo(repo.path, peers | mark)

    return at


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("access", "peer"), covering(["read", "write"], PEERS))
def test_a_question_takes_one_round_trip(place: Place, peer: str, access: str) -> None:
    with ModelServer([Answer(verify="pass", body="It is fine.")], Usage(input=5000, cached=4000, output=70)) as server:
        repo = place(server.url)
        done = ask(repo, peer, f"--access={access}")
    found = check_recorded(repo, done, peer, None, 0)
    assert (found["Relay-Status"], found["Relay-Verify"]) == ("done", "pass")
    assert done.out.endswith("verify: pass\n---\n\nIt is fine.\n")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", found["Relay-Peer-Session"])
    usage = dict(pair.split("=") for pair in found["Relay-Usage"].split())
    # OpenAI counts the cached tokens as input, Anthropic beside it; here they are part of it
    assert (usage["input"], usage["cached"], usage["output"]) == ("5000", "4000", "70")
    assert ("cost_usd" in usage) == (peer == "claude")
    assert (server.model_calls, server.strays) == (1, [])
    assert "Look at app.py." in server.requests[0].prompt


@pytest.mark.parametrize("peer", ONE)
def test_a_verdict_of_fail_is_exit_1(place: Place, peer: str) -> None:
    with ModelServer([Answer(verify="fail", body="Two tests fail.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 1)


@pytest.mark.parametrize("peer", OTHER)
def test_an_error_that_the_peer_states_is_exit_3(place: Place, peer: str) -> None:
    with ModelServer([Answer(status="error", body="Which file?")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 3)


@pytest.mark.parametrize(("step", "peer"), covering([Shell("echo x > work.txt"), Write("work.txt", "x\n")], PEERS))
def test_a_review_cannot_write(place: Place, peer: str, step: Step) -> None:
    with ModelServer([step, Answer(body="Reviewed.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--access=read")
    check_recorded(repo, done, peer, None, 0)
    assert not (repo.path / "work.txt").exists()
    refusal = server.requests[1].tool_results[0]
    assert re.search("Read-only file system|No such tool available|rejected|not allowed", refusal), refusal


@pytest.mark.parametrize("peer", PEERS)
def test_a_writer_edits_and_runs(place: Place, peer: str) -> None:
    script: list[Step] = [
        Write("work/new.py", "print(6 * 7)\n"),
        Shell("python3 work/new.py > work/out.txt; cat work/out.txt"),
        Answer(verify="pass", body="Written and run."),
    ]
    with ModelServer(script) as server:
        repo = place(server.url)
        repo.git("config", "relay.steps", "true")
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    (row,) = repo.relay("show", "--steps", "--json").json["data"]
    ran = [step for step in row["steps"] if step["kind"] == "run" and "work/new.py" in step["what"]]
    assert ran[-1]["ok"] is True and ran[-1]["exit"] == (0 if peer == "codex" else None), row["steps"]
    assert (repo.path / "work/new.py").read_text() == "print(6 * 7)\n"
    assert (repo.path / "work/out.txt").read_text() == "42\n"
    assert "42" in server.requests[2].tool_results[-1]
    assert server.model_calls == 3


def test_two_peers_take_two_turns_each(place: Place) -> None:
    with ModelServer([Answer(body=f"Answer {i}.") for i in range(1, 5)]) as server:
        repo = place(server.url)
        for peer in ("codex", "claude", "codex", "claude"):
            done = ask(repo, peer, task=f"Ask {peer}.")
            assert done.code == 0, done.err
    assert server.model_calls == 4
    assert "Context: read all .md files in .relay/s/ in order first" in server.requests[3].prompt
    log = repo.git("log", "-p", "--reverse", "--format=commit %an: %s", "relay/s")
    commits = [part.splitlines() for part in log.split("commit ")[1:]]
    assert [lines[0] for lines in commits] == [
        "uma: open s",
        "uma: req 01 uma -> codex: Ask codex.",
        "codex: res 01 codex -> uma: done, verify skip",
        "uma: req 02 uma -> claude: Ask claude.",
        "claude: res 02 claude -> uma: done, verify skip",
        "uma: req 03 uma -> codex: Ask codex.",
        "codex: res 03 codex -> uma: done, verify skip",
        "uma: req 04 uma -> claude: Ask claude.",
        "claude: res 04 claude -> uma: done, verify skip",
    ]
    for number, lines in enumerate(commits[1:]):
        name = f"{number // 2 + 1:02d}.{'res' if number % 2 else 'req'}.md"
        assert [line for line in lines if line.startswith(("diff", "+++"))] == [
            f"diff --git a/{name} b/{name}",
            f"+++ b/{name}",
        ]
        assert not [line for line in lines if line.startswith("-") and line != "--- /dev/null"]
    for i in range(1, 5):
        assert f"+Answer {i}." in log


@pytest.mark.parametrize("peer", ONE)
def test_the_structured_answer_beats_a_reply_file(place: Place, peer: str) -> None:
    reply = f"---\nrelay: 4\nre: 01\nfrom: {peer}\nto: uma\nstatus: done\nverify: pass\n---\n\nFrom the file.\n"
    with ModelServer([Write(".relay/s/01.res.md", reply), Answer(body="From the event.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out.endswith("\n\nFrom the event.\n")
    said = repo.git("log", "-1", "--format=%B", "relay/s", "--")
    assert "the reply file, which does not count, says done, verify pass" in said


@pytest.mark.parametrize("peer", OTHER)
def test_plain_words_are_no_answer_to_a_schema_and_are_kept(place: Place, peer: str) -> None:
    with ModelServer([Text("Just words.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, "bad-output", 4)
    assert "\nJust words.\n" in done.out


def test_a_json_object_in_words_is_the_answer(place: Place) -> None:
    words = 'I have looked.\n\n```json\n{"status": "done", "verify": "fail", "body": "It has no WHERE."}\n```\n'
    with ModelServer([Text(words)]) as server:
        repo = place(server.url)
        done = ask(repo, "claude")
    check_recorded(repo, done, "claude", None, 1)
    assert "It has no WHERE." in done.out


def test_refused_tool_calls_are_counted(place: Place, tmp_path: Path) -> None:
    with ModelServer([Write(str(tmp_path / "outside.txt"), "x\n"), Answer(body="Refused.")]) as server:
        repo = place(server.url)
        done = ask(repo, "claude")
    found = check_recorded(repo, done, "claude", None, 0)
    assert found["Relay-Denied"] == "1" and "1 tool call of claude was refused" in done.err
    assert not (tmp_path / "outside.txt").exists()


# -- no answer -------------------------------------------------------------------------------------


SILENCES = [(Text(""), "no-output"), (Answer(verify="maybe"), "bad-output"), (Answer(body=""), "bad-output")]


@pytest.mark.parametrize(("end", "peer"), covering([*SILENCES, (Cut(), "unavailable")], PEERS))
def test_a_model_that_gives_no_answer(place: Place, peer: str, end: tuple[Step, str]) -> None:
    step, reason = end
    with ModelServer([step]) as server:
        repo = place(server.url, retries=1)
        repo.git("config", "relay.claude.env", "CLAUDE_CODE_MAX_RETRIES=1")
        done = ask(repo, peer)
    check_recorded(repo, done, peer, reason, 4)


@pytest.mark.parametrize("peer", PEERS)
def test_a_cut_stream_is_tried_again(place: Place, peer: str) -> None:
    with ModelServer([Cut(), Answer(body="Second try.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out.endswith("\n\nSecond try.\n")
    assert server.model_calls == 2


REFUSALS = {401: "auth", 403: "auth", 429: "quota", 500: "peer-failed"}


@pytest.mark.parametrize(("status", "peer"), covering([*REFUSALS], PEERS[::-1]))
def test_a_refusing_service(place: Place, peer: str, status: int) -> None:
    with ModelServer([Status(status)]) as server:
        repo = place(server.url, retries=1)
        if status != 401:  # gitrelay ends claude at the first refusal of its key, whatever it would try
            repo.git("config", "relay.claude.env", "CLAUDE_CODE_MAX_RETRIES=1")
        done = ask(repo, peer)
    check_recorded(repo, done, peer, REFUSALS[status], 4)
    if (peer, status) != ("codex", 500):  # which it calls "high demand"
        assert str(status) in done.out


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_is_not_logged_in(place: Place, peer: str) -> None:
    with ModelServer([Answer()]) as server:
        repo = place(server.url)
        keys = {"FAKE_KEY", "CODEX_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"}
        repo = Repo(repo.path, {name: value for name, value in repo.env.items() if name not in keys})
        done = ask(repo, peer)
        assert server.model_calls == 0
    check_recorded(repo, done, peer, "auth", 4)


@pytest.mark.parametrize("peer", PEERS)
def test_a_service_that_is_not_there(place: Place, peer: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        repo = place(f"http://127.0.0.1:{unused.getsockname()[1]}", retries=1)
        repo.git("config", "relay.claude.env", "CLAUDE_CODE_MAX_RETRIES=1")
        done = ask(repo, peer)
    check_recorded(repo, done, peer, "unavailable", 4)
    assert "reach its service" in done.out


@pytest.mark.parametrize("peer", OTHER)
def test_a_model_that_hangs_is_no_output(place: Place, peer: str) -> None:
    with ModelServer([Hang()]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--first-output=4s")
    check_recorded(repo, done, peer, "no-output", 4)
    assert "first-output limit of 4 s" in done.out


@pytest.mark.parametrize(("peer", "status"), [("codex", 401), ("claude", 500)])
def test_a_limit_tells_what_the_peer_was_retrying(place: Place, peer: str, status: int) -> None:
    """Both wait longer and longer between tries; none of it counts as output."""
    with ModelServer([Status(status)]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--first-output=6s")
    check_recorded(repo, done, peer, "no-output", 4)
    said = done.out.partition("first-output limit of 6 s; its last error: ")[2]
    assert str(status) in said, done.out
    assert server.model_calls > 1


@pytest.mark.parametrize("peer", ONE)
def test_a_model_that_hangs_later_is_idle(place: Place, peer: str) -> None:
    with ModelServer([Shell("echo one"), Hang()]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--idle-timeout=4s", "--first-output=30s")
    check_recorded(repo, done, peer, "idle", 5)


# -- ends from outside -----------------------------------------------------------------------------


@pytest.mark.parametrize("peer", OTHER)
def test_ctrl_c_cancels(place: Place, peer: str) -> None:
    """Nothing of the peer is left: the fixture `mark` looks."""
    with ModelServer([Hang()]) as server:
        repo = place(server.url)
        waiter = ask_meanwhile(repo, peer, "Look.", lambda: server.model_calls > 0)
        os.kill(waiter.pid, signal.SIGINT)
        out, err = waiter.communicate(timeout=patient(LIMIT))
    assert (waiter.returncode, out) == (130, b"")
    assert b"s/01 is recorded as cancelled" in err
    found = trailers(repo)
    assert (found["Relay-Reason"], found["Relay-Recorded"]) == ("cancelled", "gitrelay")
    assert found["Relay-Peer"] == f"{peer} {PINS[peer]}"


@pytest.mark.parametrize("peer", PEERS)
def test_ctrl_c_ends_a_running_command(place: Place, peer: str) -> None:
    with ModelServer([Shell("touch work.begun; sh -c 'sleep 300; true'; true"), Answer()]) as server:
        repo = place(server.url)
        waiter = ask_meanwhile(repo, peer, "Run it.", (repo.path / "work.begun").exists)
        os.kill(waiter.pid, signal.SIGINT)
        waiter.communicate(timeout=patient(LIMIT))
    assert waiter.returncode == 130
    assert trailers(repo)["Relay-Reason"] == "cancelled"
    assert sorted(p.name for p in repo.path.iterdir()) == [".git", ".relay", "app.py", "work.begun"]


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_that_is_told_to_end_gives_no_answer(place: Place, peer: str) -> None:
    """SIGTERM from somebody else while a command of its own runs: nothing of it is left, and no folder."""
    with ModelServer([Shell("touch work.begun; sh -c 'sleep 300; true'; true"), Answer()]) as server:
        repo = place(server.url)
        assert ask(repo, peer, "--detach").code == 0
        assert eventually((repo.path / "work.begun").exists, LIMIT)
        (call,) = repo.relay("status", "--json").json["data"]
        os.kill(call["pid"], signal.SIGTERM)
        done = repo.relay("wait", "s/01", timeout=LIMIT)
    found = trailers(repo)
    assert (done.code, found["Relay-Reason"], found["Relay-Recorded"]) == (4, "peer-failed", "gitrelay"), done.out
    assert sorted(p.name for p in repo.path.iterdir()) == [".git", ".relay", "app.py", "work.begun"]


@pytest.mark.parametrize("peer", ONE)
def test_a_call_outlives_its_waiter(place: Place, peer: str) -> None:
    command = "touch work.begun; for i in $(seq 300); do test -e work.go && break; sleep 0.1; done; echo over"
    with ModelServer([Shell(command), Answer(body="All the same.")]) as server:
        repo = place(server.url)
        waiter = ask_meanwhile(repo, peer, "Run it.", (repo.path / "work.begun").exists)
        os.killpg(waiter.pid, signal.SIGKILL)
        waiter.communicate(timeout=patient(LIMIT))
        status = repo.relay("status", "--json")
        assert [call["address"] for call in status.json["data"]] == ["s/01"]
        (repo.path / "work.go").touch()
        done = repo.relay("wait", "s/01", timeout=LIMIT)
    assert done.code == 0, done.err
    assert done.out.endswith("\n\nAll the same.\n")
    assert trailers(repo)["Relay-Recorded"] == "peer"
    assert "over" in server.requests[1].tool_results[-1]
