"""What goes along with a call that another machine answers, and what its caller sees of it meanwhile."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from gitrelay.calls.following import Following
from gitrelay.cli.screen.board import Board
from gitrelay.ledger.ledger import open_ledger
from gitrelay.state.away import news
from support.repo import Repo, with_one_commit
from support.waiting import eventually, patient

WORKER = ("worker", "--remote", "origin", "--peers", "shell,other", "--poll", "0.1s", "--unsigned")


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    """A caller's clone and a worker's, with one bare remote."""
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    far = Repo(tmp_path / "far", env)
    far.git("config", "relay.other.command", "cat")
    far.git("config", "relay.other.plain", "true")
    return caller, far


def test_what_is_news_of_a_call() -> None:
    """Time that passes is none."""
    held = "taken by w, last seen {} s ago, attempt 1; it says: {}"
    assert news(held.format(3, "x")) == news(held.format(40, "x")) != news(held.format(40, "y"))
    free = "no worker has taken it"
    assert news(f"{free}, asked 5 minutes ago") == news(free) != news(f"{free}, 2 have given it back")


def _trailers(repo: Repo, kind: str, session: str) -> str:
    return repo.git("log", "--format=%(trailers)", "-1", f"--grep=^{kind} 01", f"relay/{session}")


def test_a_check_runs_here_on_the_files_of_the_answer(two: tuple[Repo, Repo]) -> None:
    """Who looks only does not run it; who takes the answer does, in a copy, and it decides the exit code."""
    caller, far = two
    check = f'test "$(cat made.txt)" = made && pwd > {caller.path.parent}/where'
    words = ("--to", "shell", "--session", "s", "--check", check, "--check", "false", "echo made > made.txt")
    asked = caller.relay("req", "--on", "origin", "-d", *words)
    assert asked.code == 0, asked.err
    assert far.relay(*WORKER, "--once").code == 0
    fetched = caller.relay("fetch", "origin")
    assert fetched.code == 0 and "'git relay wait s' takes the answer" in fetched.err, fetched.err
    status = caller.relay("status")
    assert "answered; 'git relay wait s/01' takes the answer and runs its checks" in status.err, status.err
    assert caller.subjects("s")[-1].startswith("req 01")
    others = [caller.start("wait", "s/01") for _ in range(2)]  # all take the answer at once, and one runs the checks
    done = caller.relay("wait", "s/01", "--json")
    assert done.code == 1, done.err
    for other in others:
        out, err = other.communicate(timeout=patient(60))
        assert other.returncode == 1 and b"verify: pass" in out, err
    (row,) = done.json["data"]
    assert [(one["command"], one["result"]) for one in row["checks"]] == [(check, "pass"), ("false", "fail (exit 1)")]
    place = (caller.path.parent / "where").read_text().strip()
    assert place != str(caller.path) and not Path(place).exists()
    assert not (caller.path / "made.txt").exists()
    assert caller.relay("fsck").code == 0
    assert caller.relay("wait", "s/01").code == 1, "it is recorded once"
    assert [subject[:12] for subject in caller.subjects("s")[-2:]] == ["chk 01 pass:", "chk 01 fail "]
    again = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo two")
    assert (again.code, again.out) == (0, "s/02\n"), again.err
    assert far.relay(*WORKER, "--once").code == 0
    assert caller.relay("wait", "s/02").code == 0


def test_limits_the_folder_and_the_depth_go_along(two: tuple[Repo, Repo]) -> None:
    """A worker keeps the shorter of two limits, starts the peer in the folder, and counts calls inside calls."""
    caller, far = two
    caller.sh("mkdir sub; echo x > sub/x")
    far.git("config", "relay.shell.timeout", "1s")
    ask = ("req", "--on", "origin", "-d", "--to", "shell")
    for session, task, *words in (
        ("folder", "pwd; cat x; echo $GITRELAY_DEPTH", "--cwd", "sub", "--timeout", "50m", "--isolate"),
        ("long", "sleep 100", "--timeout", "50m"),
        ("gone", "pwd", "--cwd", "sub2"),
    ):
        if session == "gone":
            (caller.path / "sub2").mkdir()  # git records no empty folder
        done = caller.relay(*ask, "--session", session, *words, task)
        assert done.code == 0, done.err
    deep = caller.relay(*ask, "--session", "deep", "echo hi", env={"GITRELAY_DEPTH": "2"})
    assert deep.code == 0, deep.err
    assert 'Relay-Asked-Limits: {"timeout": 3000.0}' in _trailers(caller, "req", "folder")
    assert far.relay(*WORKER, "--once").code == 0
    done = caller.relay("wait", "folder")
    assert done.code == 0 and "/sub\nx\n1\n" in done.out, done.out + done.err
    done = caller.relay("wait", "long")
    assert done.code == 5 and "reason: timeout" in done.out, done.out + done.err
    done = caller.relay("wait", "gone")
    assert done.code == 4 and "'sub2'" in done.out, done.out + done.err
    done = caller.relay("wait", "deep")
    assert done.code == 4 and "reason: recursion" in done.out, done.out + done.err
    far.git("config", "relay.shell.timeout", "10m")
    assert caller.relay(*ask, "--session", "short", "--timeout", "1s", "sleep 100").code == 0
    assert far.relay(*WORKER, "--once").code == 0
    assert caller.relay("wait", "short").code == 5


def test_several_peers_get_a_job_each(two: tuple[Repo, Repo]) -> None:
    """Sessions and keys are named after the peers, as for calls on this machine; a key pays once."""
    caller, far = two
    ask = ("req", "--on", "origin", "-d", "--to", "shell", "--to", "other", "--session", "s", "--key", "k", "echo hi")
    done = caller.relay(*ask)
    assert (done.code, done.out) == (0, "s-shell/01\ns-other/01\n"), done.err
    assert caller.relay(*ask).out == done.out
    assert len(caller.relay("queue", "--json").json["data"]["jobs"]) == 2
    assert far.relay(*WORKER, "--once").code == 0
    found = caller.relay("wait", "s-shell", "s-other", "--json")
    assert found.code == 0 and len(found.json["data"]) == 2, found.err
    late = caller.relay("req", "--on", "origin", "--to", "shell", "--session", "late", "--expires", "0.1s", "echo hi")
    assert late.code == 4 and "reason: expired" in late.out, late.out + late.err


def test_what_a_worker_cannot_do_is_refused(two: tuple[Repo, Repo]) -> None:
    caller, _ = two
    for words, why in (
        (("--on", "origin", "--shared"), "a worker has its own tree"),
        (("--on", "origin", "--fresh"), "a worker begins with your files each time"),
        (("--on", "origin", "--no-invoke"), "it is there to be answered"),
        (("--on", "origin", "--attempts", "2", "--expires", "1h"), "--expires does not go with several attempts"),
        (("--on", "origin", "--expires", "8d"), "--expires '8d' is too long"),
        (("--on", "origin", "--timeout", "soon"), "--timeout 'soon' is not a duration"),
        (("--on", "origin", "--cwd", "nowhere"), "--cwd 'nowhere' is no folder"),
        (("--expires", "1h"), "--expires goes with --on"),
    ):
        done = caller.relay("req", *words, "--to", "shell", "echo hi")
        assert done.code == 2 and why in done.err, (words, done.err)
    assert caller.relay("ls").out == ""


def test_a_remote_that_was_never_reached_gets_the_request_later(two: tuple[Repo, Repo]) -> None:
    """The first use of a remote need not reach it; a cancelled call is not sent at all afterwards."""
    caller, far = two
    hub, away = caller.path.parent / "hub.git", caller.path.parent / "away.git"
    hub.rename(away)
    for session in ("a", "b"):
        done = caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", session, "echo hi")
        assert done.code == 0 and "not sent yet" in done.err, done.err
    busy = caller.relay("req", "--to", "shell", "--session", "a", "echo hi")
    assert busy.code == 6 and "git relay wait a/01 or git relay cancel a/01" in busy.err, busy.err
    cancelled = caller.relay("cancel", "@last")
    assert cancelled.code == 0 and "b/01 has ended here" in cancelled.err, cancelled.err
    away.rename(hub)
    assert "a/01: no worker has taken it" in caller.relay("status").err
    assert far.relay(*WORKER, "--once").code == 0
    done = caller.relay("wait", "a")
    assert done.code == 0, done.err
    assert caller.git("ls-remote", "origin", "refs/relay/queue/*") == ""


def test_a_call_whose_remote_is_gone_can_be_ended(two: tuple[Repo, Repo]) -> None:
    caller, _ = two
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo hi").code == 0
    caller.git("remote", "remove", "origin")
    assert "there is no remote 'origin'" in caller.relay("status").err
    done = caller.relay("cancel", "s")
    assert done.code == 0 and "cancelled" in done.out, done.err
    assert caller.relay("status").err == "nothing runs\n"


def test_what_a_worker_says_is_shown_and_marked_as_its_word(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """With each renewal one line, without a push of its own; it is redacted, and no more than a line."""
    caller, far = two
    go = caller.path.parent / "go"
    secret = "ghp_" + "a1B2" * 9
    task = f"printf 'step one \\033[2J {secret}\\n'; until [ -e {go} ]; do sleep 0.05; done; echo end"
    assert caller.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", task).code == 0
    (row,) = caller.relay("watch", "--timeout", "0.1s").out.splitlines()
    assert row.endswith("s/01  away  -> shell at origin: no worker has taken it"), row
    board = Board(Following(open_ledger(caller.path)), "watch", colours=False)
    assert any("shell at origin" in line and "no worker has" in line for line in board.lines(120, 20, time.time()))
    running = far.start(*WORKER, "--jobs", "1", "--lease", "1.5s", env=mark)
    try:
        assert eventually(lambda: "it says: step one" in caller.relay("status").err, 60)
        said = caller.relay("status", "--json").json["data"][0]["said"]
        assert "taken by " in said and " last seen " in said, said
        assert secret not in said and "\x1b" not in said, said
        caller.git("fetch", "-q", "origin", "+refs/relay/queue/*:refs/seen/*")
        log = caller.git("log", "--glob=refs/seen")
        assert secret not in log and "step one" in log
        tail = caller.relay("tail", "s/01", "--timeout", "1s")
        assert tail.code == 8 and "it says: step one" in tail.out, tail.err
        assert "it says: step one" in caller.relay("watch", "s", "--timeout", "0.1s").out
    finally:
        go.touch()
        _, err = running.communicate(timeout=120)
    assert caller.relay("wait", "s").code == 0, err
    assert caller.relay("watch", "s", "--timeout", "0.1s").out == ""


def test_ctrl_c_ends_a_call_that_is_waited_for(two: tuple[Repo, Repo]) -> None:
    """As for a call on this machine; who only waits lets it go on."""
    caller, far = two
    asking = caller.start("req", "--on", "origin", "--to", "shell", "--session", "s", "echo hi")
    try:
        assert eventually(lambda: caller.git("ls-remote", "origin", "refs/relay/queue/shell/*") != "", 60)
        waiting = caller.start("wait", "s")
        assert waiting.stderr is not None
        said = b""
        while b"no worker has taken it" not in said:
            line = waiting.stderr.readline()
            assert line, said
            said += line
        waiting.send_signal(signal.SIGINT)
        assert b"s/01 still goes on" in waiting.communicate(timeout=patient(60))[1] and waiting.returncode == 130
        asking.send_signal(signal.SIGINT)
        _, err = asking.communicate(timeout=patient(60))
    finally:
        if asking.poll() is None:
            asking.kill()
            asking.wait()
    assert asking.returncode == 130 and b"s/01 is recorded as cancelled" in err, err
    assert caller.git("ls-remote", "origin", "refs/relay/queue/*") == ""
    assert far.relay(*WORKER, "--once", "--json").json["data"]["jobs"] == []


def test_attempts_are_a_job_each_and_are_compared_here(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """The checks run here too, and the one that passed first is picked."""
    caller, far = two
    worker = far.start(*WORKER, "--jobs", "2", env=mark)
    try:
        words = ("--attempts", "2", "--pick", "check", "--check", "test -s made", "date > made")
        done = caller.relay("req", "--on", "origin", "--to", "shell", "--name", "g", *words, timeout=180)
        _, err = worker.communicate(timeout=patient(120))
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    assert done.code == 0 and "Picked: g-shell-1/01" in done.out, done.out + done.err + err.decode()
    assert caller.subjects("g-shell-2")[-1] == "chk 01 pass: test -s made"
    assert caller.relay("apply", "g-shell-1/01").code == 0 and (caller.path / "made").exists()
