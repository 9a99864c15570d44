"""The real gemini and opencode, called through gitrelay, with a scripted model behind them.

As test_codex_and_claude.py for codex and claude. These two have no schema for their final message: `Answer` is
a response file in words.

What both do in the same code of gitrelay is tried with gemini (ONE), because opencode takes ten seconds of a core for a
call, and the values of an access, a step or a status are spread over the two; under GITRELAY_SOAK=1 each is tried with
both. `peers test opencode` (tests/setup/test_conformance_of_peers.py) ends it while it runs a command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.model_server import Answer, Cut, Hang, ModelServer, Shell, Status, Step, Text, Tool, Usage, Write
from support.realcalls import ask, ask_meanwhile, check_recorded, trailers
from support.realcli import PINS, gemini_env, merged, opencode_env
from support.repo import BIN, Repo, sealed_environment
from support.soak import SOAK, covering
from support.waiting import eventually, patient

pytestmark = pytest.mark.realcli
PEERS = ("gemini", "opencode")
ONE = PEERS if SOAK else PEERS[:1]
LIMIT = 120.0  # seconds for a call that is waited for; it takes 2 to 6 with nothing to wait for
SLOW = 170.0  # opencode goes on for 80 seconds about a service that is not there
Place = Callable[..., Repo]


def with_both(home: Path, url: str, attempts: int | None = None) -> dict[str, str]:
    """An environment in which both peers are installed and their model is at `url`."""
    peers = merged(gemini_env(home, url, attempts), opencode_env(home, url), sealed_environment(home))
    peers["PATH"] = os.pathsep.join([str(BIN), peers["PATH"]])
    return peers


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gitrelay notes of a repository's peers, which it asks for their version once; gemini takes 4 s for that."""
    folder = tmp_path_factory.mktemp("versions")
    asked = Repo(folder / "repo", with_both(folder / "home", "http://127.0.0.1:9"))
    asked.path.mkdir()
    asked.sh("git init -q; mkdir .git/relay")
    assert asked.relay("peers").code == 0
    return asked.path / ".git/relay/versions.json"


@pytest.fixture
def place(repo: Repo, mark: dict[str, str], tmp_path: Path, versions: Path) -> Place:
    """The repository, seen by processes for which both peers are installed and their model is at `url`."""

    def at(url: str, attempts: int | None = None) -> Repo:
        (repo.path / ".git/relay").mkdir()
        shutil.copy(versions, repo.path / ".git/relay")
        return Repo(repo.path, with_both(tmp_path / "home", url, attempts) | mark)

    return at


def response_file(peer: str, body: str, verify: str = "pass") -> str:
    return f"---\nrelay: 4\nre: 01\nfrom: {peer}\nto: uma\nstatus: done\nverify: {verify}\n---\n\n{body}\n"


def grades(server: ModelServer) -> int:
    """The requests beside the conversation: gemini's, in which a small model grades the question."""
    return sum(not request.main for request in server.requests)


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("access", "peer"), covering(["read", "write", "full"], PEERS))
def test_a_question_takes_one_round_trip(place: Place, peer: str, access: str, tmp_path: Path) -> None:
    model = {"gemini": "gemini-2.5-pro", "opencode": "fake/scripted"}[peer]
    with ModelServer([Answer(verify="pass", body="It is fine.")], Usage(input=5000, cached=4000, output=70)) as server:
        repo = place(server.url)
        done = ask(repo, peer, f"--access={access}", f"--model={model}", "--effort=high")
    found = check_recorded(repo, done, peer, None, 0)
    assert (found["Relay-Status"], found["Relay-Verify"]) == ("done", "pass")
    assert done.out == response_file(peer, "It is fine.")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}|ses_\w+", found["Relay-Peer-Session"])
    assert found["Relay-Usage"] == "input=5000 cached=4000 output=70"  # opencode counts the cached beside the input
    assert found.get("Relay-Model") == (model if peer == "gemini" else None)
    assert found.get("Relay-Sandbox") == ("held" if access == "read" else None)
    assert (server.model_calls, len(server.requests), server.strays) == (1, 1, [])
    assert "Look at app.py." in server.requests[0].prompt
    left = [path.name for path in (tmp_path / "home/tmp").iterdir()]
    assert not [name for name in left if name.endswith(".so")], "5.6 MB that opencode unpacks on every start"


def test_gemini_without_a_model_lets_a_small_one_grade_the_question(place: Place) -> None:
    with ModelServer([Answer()]) as server:
        repo = place(server.url)
        done = ask(repo, "gemini")
    found = check_recorded(repo, done, "gemini", None, 0)
    assert (server.model_calls, grades(server)) == (1, 1)
    assert found["Relay-Model"] in server.requests[1].path


@pytest.mark.parametrize(
    ("ends", "peer"),
    covering([(Answer(verify="fail", body="Two fail."), 1), (Answer(status="error", body="Which?"), 3)], ONE),
)
def test_a_verdict_and_an_error_have_their_exit_codes(place: Place, peer: str, ends: tuple[Answer, int]) -> None:
    answer, code = ends
    with ModelServer([answer]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, code)


@pytest.mark.parametrize(("step", "peer"), covering([Shell("echo x > work.md"), Write("work.md", "x\n")], ONE))
def test_a_review_cannot_write(place: Place, peer: str, step: Step) -> None:
    with ModelServer([step, Answer(body="Reviewed.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--access=read")
    assert check_recorded(repo, done, peer, None, 0)["Relay-Sandbox"] == "held"
    assert not (repo.path / "work.md").exists()
    refusal = server.requests[-1].tool_results[0]
    assert re.search(r"not found|unavailable tool", refusal), refusal


def test_gemini_cannot_leave_read_access_by_its_plan(place: Place) -> None:
    """In plan mode, without a person, `exit_plan_mode` is approved by itself: then it may write."""
    script: list[Step] = [
        Tool("enter_plan_mode", {"reason": "to plan"}),
        Write("notes.md", "# Plan\n"),
        Tool("exit_plan_mode", {"plan_filename": "notes.md"}),
        Write("work.txt", "x\n"),
        Answer(body="Reviewed."),
    ]
    with ModelServer(script) as server:
        repo = place(server.url)
        done = ask(repo, "gemini", "--access=read")
    assert check_recorded(repo, done, "gemini", None, 0)["Relay-Sandbox"] == "held"
    assert server.model_calls == 5
    assert all("not found" in result for result in server.requests[-1].tool_results)


@pytest.mark.parametrize("peer", PEERS)
def test_a_project_cannot_widen_read_access(place: Place, peer: str) -> None:
    with ModelServer([Shell("echo x > work.txt"), Write("work.txt", "x\n"), Answer(body="Reviewed.")]) as server:
        repo = place(server.url)
        allowed = {"tools": {"allowed": ["run_shell_command", "write_file"]}}
        (repo.path / ".gemini").mkdir()
        (repo.path / ".gemini/settings.json").write_text(json.dumps(allowed))
        permission = {"bash": "allow", "edit": "allow", "*": "allow"}
        project = {"permission": permission, "agent": {"gitrelay": {"permission": permission}}}
        project["$schema"] = "https://opencode.ai/config.json"  # or opencode writes it into the file
        (repo.path / "opencode.json").write_text(json.dumps(project))
        repo.sh("git add -A; git commit -qm 'settings of its own'")
        done = ask(repo, peer, "--access=read")
    assert check_recorded(repo, done, peer, None, 0)["Relay-Sandbox"] == "held"
    assert server.model_calls == 3


@pytest.mark.parametrize(("access", "peer"), covering(["write", "full"], PEERS))
def test_a_writer_edits_and_runs(place: Place, peer: str, access: str) -> None:
    script: list[Step] = [
        Write("work/new.py", "print(6 * 7)\n"),
        Shell("python3 work/new.py > work/out.txt; cat work/out.txt"),
        Answer(verify="pass", body="Written and run."),
    ]
    with ModelServer(script) as server:
        repo = place(server.url)
        done = ask(repo, peer, f"--access={access}")
    check_recorded(repo, done, peer, None, 0)
    assert (repo.path / "work/new.py").read_text() == "print(6 * 7)\n"
    assert (repo.path / "work/out.txt").read_text() == "42\n"
    assert "42" in server.requests[-1].tool_results[-1]
    assert server.model_calls == 3


@pytest.mark.parametrize("peer", PEERS)
def test_a_write_outside_is_refused_and_the_peer_goes_on(place: Place, peer: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    with ModelServer([Write(str(outside), "x\n"), Answer(body="It was refused.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert not outside.exists()
    assert server.model_calls == 2


@pytest.mark.parametrize("peer", PEERS)
def test_a_second_turn_continues_the_conversation(place: Place, peer: str) -> None:
    with ModelServer([Answer(body="Answer one."), Answer(body="Answer two.")]) as server:
        repo = place(server.url)
        first = ask(repo, peer, task="Remember the word ocelot.")
        session = check_recorded(repo, first, peer, None, 0)["Relay-Peer-Session"]
        second = ask(repo, peer, task="Which word?")
    found = check_recorded(repo, second, peer, None, 0, turn="02")
    assert (found["Relay-Peer-Session"], found["Relay-Continuation"]) == (session, "native")
    assert server.model_calls == 2
    said = json.dumps(server.requests[-1].body)
    assert "ocelot" in said and "Answer one." in said and "Which word?" in said
    assert "ocelot" not in server.requests[-1].prompt


@pytest.mark.parametrize("peer", PEERS)
def test_a_conversation_that_is_gone_is_begun_afresh(place: Place, peer: str, tmp_path: Path) -> None:
    with ModelServer([Answer(body="Answer.")]) as server:
        repo = place(server.url)
        first = ask(repo, peer)
        session = check_recorded(repo, first, peer, None, 0)["Relay-Peer-Session"]
        repo.sh(f"rm -rf '{tmp_path}/home/.gemini/tmp' '{tmp_path}/home/.local/share/opencode'")
        second = ask(repo, peer)
    found = check_recorded(repo, second, peer, None, 0, turn="02")
    assert found["Relay-Continuation"] == "files"
    assert found["Relay-Peer-Session"] != session
    assert f"the conversation {session} is gone" in repo.git("log", "-1", "--format=%B", "relay/s")


def test_gemini_is_told_the_turns_that_git_ignores(place: Place) -> None:
    """Its file tools refuse `.relay`, which ignores itself."""
    with ModelServer([Answer(body="Answer.")]) as server:
        repo = place(server.url)
        assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo ocelot").code == 0
        second = ask(repo, "gemini")
        check_recorded(repo, second, "gemini", None, 0, turn="02")
        assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo caracal").code == 0
        fourth = ask(repo, "gemini")
    check_recorded(repo, fourth, "gemini", None, 0, turn="04")
    before, resumed = (r.prompt for r in server.requests if r.main)
    assert "<turn file=01.req.md>" in before and "ocelot\n```" in before and "<turn file=02.req.md>" not in before
    assert "caracal\n```" in resumed and "ocelot" not in resumed
    assert server.model_calls == 2


def test_opencode_reads_the_turns_that_git_ignores(place: Place) -> None:
    script: list[Step] = [Tool("read", {"filePath": ".relay/s/01.res.md"}), Answer()]
    with ModelServer(script) as server:
        repo = place(server.url)
        assert repo.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo ocelot").code == 0
        done = ask(repo, "opencode", "--access=read")
    check_recorded(repo, done, "opencode", None, 0, turn="02")
    assert "ocelot" in server.requests[-1].tool_results[0]


@pytest.mark.parametrize("peer", ONE)
def test_a_response_in_the_final_words_beats_a_reply_file(place: Place, peer: str) -> None:
    reply = response_file(peer, "From the file.")
    with ModelServer([Write(".relay/s/01.res.md", reply), Answer(body="From the event.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out.endswith("\n\nFrom the event.\n")


@pytest.mark.parametrize("peer", ONE)
def test_a_reply_file_beats_words(place: Place, peer: str) -> None:
    reply = response_file(peer, "From the file.")
    with ModelServer([Write(".relay/s/01.res.md", reply), Text("I wrote the reply file.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out == reply


@pytest.mark.parametrize("peer", ONE)
def test_plain_words_are_the_body(place: Place, peer: str) -> None:
    with ModelServer([Text("Just words.\n\n- and a list\n")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out == response_file(peer, "Just words.\n\n- and a list", "skip")


@pytest.mark.parametrize("peer", ONE)
def test_a_response_file_behind_words_and_in_a_fence_is_found(place: Place, peer: str) -> None:
    words = f"Here it is:\n\n```markdown\n{response_file(peer, 'Two tests fail.', 'fail')}```\n"
    with ModelServer([Text(words)]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 1)
    assert done.out == response_file(peer, "Here it is:\n\nTwo tests fail.", "fail")


@pytest.mark.parametrize("peer", ONE)
def test_a_response_file_that_is_only_quoted_is_not_the_answer(place: Place, peer: str) -> None:
    words = f"The earlier answer was:\n\n{response_file(peer, 'Fine.', 'fail').replace('re: 01', 're: 07')}"
    with ModelServer([Text(words)]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, None, 0)
    assert done.out == response_file(peer, words.rstrip("\n"), "skip")


# -- no answer -------------------------------------------------------------------------------------


WRONG = [
    Answer(verify="maybe"),
    Answer(body=""),
    Text("---\nrelay: 4\nre: 99\nfrom: x\nto: y\nstatus: done\nverify: skip\n---\n\nHm.\n"),
]


@pytest.mark.parametrize(("step", "peer"), covering(WRONG, ONE))
def test_an_answer_that_is_none(place: Place, peer: str, step: Step) -> None:
    with ModelServer([step]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, "bad-output", 4)


REFUSALS = {401: "auth", 403: "auth", 429: "quota", 500: "peer-failed", 400: "peer-failed"}


@pytest.mark.parametrize(("status", "peer"), [*covering([*REFUSALS], ONE), *([] if SOAK else [(403, "opencode")])])
def test_a_refusing_service(place: Place, peer: str, status: int) -> None:
    with ModelServer([Status(status, headers=(("retry-after-ms", "1"),))]) as server:
        repo = place(server.url, attempts=1)
        done = ask(repo, peer)
    check_recorded(repo, done, peer, REFUSALS[status], 4)
    assert str(status) in done.out


def test_gemini_that_is_not_logged_in(place: Place, tmp_path: Path) -> None:
    with ModelServer([Answer()]) as server:
        repo = place(server.url)
        (tmp_path / "home/.gemini/settings.json").unlink()
        env = {key: value for key, value in repo.env.items() if key != "GEMINI_API_KEY"}
        done = ask(Repo(repo.path, env), "gemini")
    check_recorded(repo, done, "gemini", "auth", 4)
    assert server.model_calls == 0


@pytest.mark.parametrize("peer", PEERS)
def test_a_service_that_is_not_there(place: Place, peer: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        repo = place(f"http://127.0.0.1:{unused.getsockname()[1]}", attempts=1)
        model = ["--model=gemini-2.5-pro"] if peer == "gemini" else []  # or its grading is tried for a minute
        words = ["req", "--from", "uma", "--to", peer, "--session", "s", *model, "Look."]
        done = repo.relay(*words, timeout=SLOW)
    check_recorded(repo, done, peer, "unavailable", 4)
    assert "reach its service" in done.out


@pytest.mark.parametrize("peer", PEERS)
def test_a_cut_stream(place: Place, peer: str) -> None:
    """gemini gives up at once, opencode asks again; half an answer is taken by neither for one."""
    with ModelServer([Cut(), Answer(body="Second try.")]) as server:
        repo = place(server.url)
        done = ask(repo, peer)
    if peer == "gemini":
        check_recorded(repo, done, peer, "peer-failed", 4)
        assert "This answer" in done.out
        return
    check_recorded(repo, done, peer, None, 0)
    assert done.out.endswith("\n\nSecond try.\n")
    assert server.model_calls == 2


@pytest.mark.parametrize("peer", ONE)
def test_a_model_that_hangs_is_no_output(place: Place, peer: str) -> None:
    with ModelServer([Hang()]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--first-output=25s")
        assert server.model_calls == 1
    check_recorded(repo, done, peer, "no-output", 4)
    assert "first-output limit of 25 s" in done.out


@pytest.mark.parametrize("peer", ONE)
def test_a_model_that_hangs_later_is_idle(place: Place, peer: str) -> None:
    with ModelServer([Shell("echo one"), Hang()]) as server:
        repo = place(server.url)
        done = ask(repo, peer, "--idle-timeout=25s")
        assert server.model_calls == 2
    check_recorded(repo, done, peer, "idle", 5)


# -- ends from outside -----------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ONE)
def test_ctrl_c_ends_a_running_command(place: Place, peer: str) -> None:
    """Nothing of the peer is left: the fixture `mark` looks."""
    with ModelServer([Shell("touch work.begun; sh -c 'sleep 300; true'; true"), Answer()]) as server:
        repo = place(server.url)
        waiter = ask_meanwhile(repo, peer, "Run it.", (repo.path / "work.begun").exists)
        os.kill(waiter.pid, signal.SIGINT)
        waiter.communicate(timeout=patient(LIMIT))
    assert waiter.returncode == 130
    found = trailers(repo)
    assert (found["Relay-Reason"], found["Relay-Recorded"]) == ("cancelled", "gitrelay")
    assert found["Relay-Peer"] == f"{peer} {PINS[peer]}"
    assert sorted(p.name for p in repo.path.iterdir()) == [".git", ".relay", "app.py", "work.begun"]


@pytest.mark.parametrize("peer", ONE)
def test_cancel_while_the_model_thinks(place: Place, peer: str) -> None:
    with ModelServer([Hang()]) as server:
        repo = place(server.url)
        detached = ask(repo, peer, "--detach")
        assert detached.out == "s/01\n", detached.err
        assert server.wait_for_calls(1, LIMIT)
        assert repo.relay("cancel", "s/01").code == 0
    assert trailers(repo)["Relay-Reason"] == "cancelled"


@pytest.mark.parametrize("peer", ONE)
def test_a_peer_that_is_told_to_end_gives_no_answer(place: Place, peer: str) -> None:
    """SIGTERM from somebody else: gemini then ends with exit code 0."""
    with ModelServer([Shell("touch work.begun; sleep 300"), Answer()]) as server:
        repo = place(server.url)
        assert ask(repo, peer, "--detach").code == 0
        assert eventually((repo.path / "work.begun").exists, LIMIT)
        (call,) = repo.relay("status", "--json").json["data"]
        os.kill(call["pid"], signal.SIGTERM)
        done = repo.relay("wait", "s/01", timeout=LIMIT)
    assert done.code == 4, done.out
    found = trailers(repo)
    assert (found["Relay-Recorded"], found["Relay-Status"]) == ("gitrelay", "error")
    assert found["Relay-Reason"] in ("no-output", "peer-failed")
