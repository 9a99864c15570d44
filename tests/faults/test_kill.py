"""Whoever is killed, whenever: the branch is valid, every recorded request is answered once anybody looks,
the next call works, and no peer is left behind.

15 kills and 6 times Ctrl-C; 1000 and 300 under GITRELAY_SOAK=1. The delays are random. The seed is fixed unless
GITRELAY_TEST_SEED says otherwise; a failure prints it, with the victim and the delay.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import psutil
import pytest

from support.ledgercheck import assert_all_valid, assert_sound, assert_valid, sessions
from support.places import INJECT
from support.repo import GIT_RELAY, Repo
from support.soak import rounds
from support.waiting import eventually, patient, processes_with

SEED = int(os.environ.get("GITRELAY_TEST_SEED", "20261121"))
KILLS = rounds(15, 1000)
INTERRUPTS = rounds(6, 300)
BATCHES = rounds(3, 10)
SHORT = "echo begin; sleep 0.2; echo end"  # ends by itself
LONG = "echo begin; exec sleep 300"  # has to be ended


@pytest.fixture
def marked(repo: Repo, mark: dict[str, str]) -> Repo:
    """A repository whose every process can be found, and must be gone when the test is over."""
    return replace(repo, env={**repo.env, **mark})


@functools.cache
def _length_of_a_call() -> list[float]:
    return []


def length_of_a_call(repo: Repo) -> float:
    """Seconds that a short call takes on this machine now; measured once in a process."""
    known = _length_of_a_call()
    if not known:
        begin = time.monotonic()
        assert repo.relay("req", "--to", "shell", "--session", "measure", SHORT).code == 0
        known.append(time.monotonic() - begin)
    return known[0]


def _mark(repo: Repo) -> tuple[str, str]:
    return "GITRELAY_TEST_MARK", repo.env["GITRELAY_TEST_MARK"]


def supervisors(repo: Repo) -> list[psutil.Process]:
    found = []
    for process in processes_with(*_mark(repo)):
        with contextlib.suppress(psutil.Error):
            if "gitrelay.supervisor" in process.cmdline():
                found.append(process)
    return found


def peer(repo: Repo, session: str) -> psutil.Process | None:
    """The process that `call.json` names as the session's peer, if it is that one still."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        call = json.loads((repo.path / f".git/relay/calls/{session}/call.json").read_bytes())
        if call["peer_pid"] is not None:
            process = psutil.Process(call["peer_pid"])
            if abs(process.create_time() - call["peer_started"]) < 2 and process.status() != psutil.STATUS_ZOMBIE:
                return process
    return None


def peers_left(repo: Repo) -> list[list[str]]:
    """The command lines of processes that are neither waiters nor supervisors."""
    found = []
    for process in processes_with(*_mark(repo)):
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if words and not any(word.startswith("gitrelay") for word in words) and process.is_running():
                found.append(words)
    return found


def kill(processes: list[psutil.Process]) -> bool:
    hit = False
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
            hit = True
    return hit


def kill_supervisors(repo: Repo) -> bool:
    """Until none is left: one that forks while it is listed has a child that is not on the list.

    It may have ended by then itself, and the list be empty, so that it takes a second empty one to be sure.
    """
    hit = False
    while found := supervisors(repo) or supervisors(repo):
        hit = kill(found) or hit
    return hit


def end_of(waiter: subprocess.Popen[bytes], limit: float) -> tuple[bytes, bytes]:
    """What it printed; one that has not ended after `limit` seconds is killed, so that it disturbs no other test."""
    try:
        return waiter.communicate(timeout=patient(limit))
    except subprocess.TimeoutExpired:
        waiter.kill()
        waiter.communicate()
        raise


def requests(repo: Repo, session: str) -> int:
    if session not in sessions(repo):
        return 0
    return sum(s.startswith("req ") for s in repo.subjects(session))


def assert_mended(repo: Repo, session: str, look: str, *, call: bool = True) -> None:
    """One look, and every request is answered and nothing runs; then (`call`) the next call on the session works."""
    before = requests(repo, session)
    if look in ("show", "wait") and not before:
        look = "status"  # there is no exchange to show or to wait for
    if look == "status":
        done = repo.relay("status", "--all", "--json")
        assert done.code == 0, done.err
        assert done.json["data"] == [], done.json
    elif look == "show":
        done = repo.relay("show", session)
        assert done.code == 0, done.err
        assert "not answered yet" not in done.err
    elif look == "wait":
        done = repo.relay("wait", f"{session}/{before:02d}")
        assert done.code in (0, 1, 4), done.err
    if look != "req" and session in sessions(repo):
        assert_valid(repo, session, fsck=False)
        assert eventually(lambda: not peers_left(repo), 10), peers_left(repo)
    if not call and look != "req":
        return
    done = repo.relay("req", "--to", "shell", "--session", session, "echo after")
    assert done.code == 0 and "\nafter\n" in done.out, (done.code, done.err)
    assert len(assert_valid(repo, session, fsck=False)) == before + 1
    assert eventually(lambda: not peers_left(repo), 10), peers_left(repo)


# -- SIGKILL ---------------------------------------------------------------------------------------

VICTIMS = ("waiter", "supervisor", "peer", "waiter and supervisor", "supervisor and peer")


def _one_kill(repo: Repo, session: str, victim: str, delay: float, look: str, *, call: bool) -> bool:
    """Start a call, kill somebody after `delay` seconds, mend; False where there was nobody to kill."""
    task = SHORT if victim == "waiter" else LONG
    # the supervisor of the call before lives for some milliseconds behind its answer, and is not the one to kill
    assert eventually(lambda: not supervisors(repo), 30)
    waiter = repo.start("req", "--from", "uma", "--to", "shell", "--session", session, task)
    time.sleep(delay)
    hit = False
    if "waiter" in victim:
        hit = waiter.poll() is None
        waiter.kill()
    if "supervisor" in victim:
        assert eventually(lambda: bool(supervisors(repo)) or waiter.poll() is not None)
        hit = kill_supervisors(repo) or hit
    if "peer" in victim:
        assert eventually(lambda: peer(repo, session) is not None or waiter.poll() is not None or hit)
        found = peer(repo, session)
        hit = (found is not None and kill([found])) or hit
    out, err = end_of(waiter, 60)
    if "waiter" not in victim:
        # the call has ended for it in a way that is documented; nothing is a bug, nothing hangs
        assert waiter.returncode in (0, 1, 4), (waiter.returncode, err)
        assert b"status: " in out, (out, err)
    assert b"Traceback" not in err and b"this is a bug" not in err, err
    # a call whose waiter alone was killed goes on to its end; the others have nobody left
    assert eventually(lambda: not supervisors(repo), 30), "the supervisor does not end"
    assert_mended(repo, session, look, call=call)
    return hit


@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_at_any_moment(marked: Repo, batch: int) -> None:
    dice = random.Random(f"{SEED}-{batch}")
    length = length_of_a_call(marked)
    hits = tries = 0
    while hits < KILLS // BATCHES:
        tries += 1
        assert tries <= 3 * KILLS // BATCHES, "most kills come too late to hit anybody"
        victim = VICTIMS[(batch + hits) % len(VICTIMS)]
        delay = dice.uniform(0, length)
        look = dice.choice(("status", "show", "wait", "req"))
        try:
            hit = _one_kill(marked, f"s{tries % 2}", victim, delay, look, call=tries % 2 == 0)
        except BaseException:
            print(f"seed {SEED}, batch {batch}, try {tries}: {victim} killed after {delay:.3f} s, then {look}")
            raise
        hits += hit
        length *= 1.0 if hit else 0.7  # it came too late: the machine has less to do than when it was measured
    for session in sessions(marked):
        assert_mended(marked, session, "req")
    assert_all_valid(marked)


@pytest.mark.parametrize("victim", ["supervisor", "supervisor and peer"])
def test_what_the_peer_has_started_is_ended_too(marked: Repo, victim: str) -> None:
    """Tools run in sessions of their own, and the shell that started them may be gone."""
    task = "setsid sleep 300 & (setsid sh -c 'sleep 300; echo late' &) ; touch ../started; exec sleep 300"
    done = marked.relay("req", "--to", "shell", "--session", "s", "-d", task)
    assert done.code == 0, done.err
    assert eventually(lambda: (marked.path.parent / "started").exists() and peer(marked, "s") is not None)
    assert eventually(lambda: len(peers_left(marked)) >= 3)
    found = peer(marked, "s")
    assert found is not None and kill_supervisors(marked)
    if victim == "supervisor and peer":
        kill([found])
    assert_mended(marked, "s", "status")


def test_a_peer_whose_pid_was_not_noted_is_ended(marked: Repo) -> None:
    """The supervisor may die between starting the peer and writing down which process it is."""
    done = marked.relay("req", "--to", "shell", "--session", "s", "-d", LONG)
    assert done.code == 0, done.err
    assert eventually(lambda: peer(marked, "s") is not None)
    kill_supervisors(marked)
    file = marked.path / ".git/relay/calls/s/call.json"
    call = json.loads(file.read_bytes())
    file.write_text(json.dumps({**call, "peer_pid": None, "peer_started": None}))
    assert_mended(marked, "s", "status")


def test_a_check_is_ended_too(marked: Repo) -> None:
    check = "touch ../checking; exec sleep 300"
    assert marked.relay("req", "--to", "shell", "--session", "s", "-d", "--check", check, "true").code == 0
    assert eventually((marked.path.parent / "checking").exists)
    kill_supervisors(marked)
    assert marked.relay("status", "--all", "--json").json["data"] == []
    assert eventually(lambda: not peers_left(marked), 10), peers_left(marked)
    assert [s.partition(":")[0] for s in marked.subjects("s")[2:]] == ["res 01 shell -> uma-user", "chk 01 lost"]
    assert_mended(marked, "s", "status")


def test_an_answer_that_the_peer_wrote_survives_its_supervisor(marked: Repo) -> None:
    program = marked.path.parent / "program"
    program.write_text(
        "#!/bin/sh\nprintf -- '---\\nrelay: 4\\nre: 01\\nfrom: slow\\nto: uma\\nstatus: done\\nverify: pass\\n---\\n\\n"
        "worth money\\n' > .relay/s/01.res.md\nexec sleep 300\n"
    )
    program.chmod(0o755)
    marked.git("config", "relay.slow.command", str(program))
    assert marked.relay("req", "--from", "uma", "--to", "slow", "--session", "s", "-d", "think").code == 0
    answer = marked.path / ".relay/s/01.res.md"
    assert eventually(lambda: answer.exists() and answer.read_text().endswith("money\n"))
    kill_supervisors(marked)
    done = marked.relay("wait", "s/01")
    assert done.code == 0 and "worth money" in done.out, (done.code, done.out, done.err)
    assert_mended(marked, "s", "status")


# -- the terminal ----------------------------------------------------------------------------------


def in_a_terminal(repo: Repo, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """git-relay as the leader of a new terminal: the process, and the terminal's other end."""
    ours, theirs = os.openpty()
    waiter = subprocess.Popen(
        [*GIT_RELAY, *words],
        cwd=repo.path,
        env=dict(repo.env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=(theirs,),
        preexec_fn=functools.partial(os.login_tty, theirs),
    )
    os.close(theirs)
    return waiter, ours


def read_until(fd: int, words: bytes) -> bytes:
    said = b""
    with contextlib.suppress(OSError):
        while words not in said and (data := os.read(fd, 4096)):
            said += data
    return said


def _gate(repo: Repo) -> str:
    repo.sh("mkfifo ../gate")
    return "touch ../started; cat ../gate; echo after all"


def _goes_on(repo: Repo) -> None:
    """The call runs still; once its peer may go on it ends as ever, and `wait` prints it."""
    assert supervisors(repo)
    assert eventually(lambda: peer(repo, "s") is not None)  # which is noted a moment after it was started
    status = repo.relay("status", "--json")
    assert [row["address"] for row in status.json["data"]] == ["s/01"]
    waiting = repo.start("wait", "s/01")
    repo.sh("echo opened > ../gate", timeout=20)
    out, err = waiting.communicate(timeout=patient(30))
    assert waiting.returncode == 0, err
    assert b"\nopened\nafter all\n" in out
    assert assert_valid(repo, "s") == ["01"]
    assert_mended(repo, "s", "status")


def test_a_closed_terminal_does_not_end_the_call(marked: Repo) -> None:
    waiter, terminal = in_a_terminal(marked, "req", "--to", "shell", "--session", "s", _gate(marked))
    assert b"s/01" in read_until(terminal, b"s/01")
    assert eventually((marked.path.parent / "started").exists)
    os.close(terminal)
    assert waiter.wait(timeout=patient(20)) != 0
    _goes_on(marked)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGPIPE])
def test_a_signal_to_the_waiter_ends_only_the_waiting(marked: Repo, number: signal.Signals) -> None:
    waiter = marked.start("req", "--to", "shell", "--session", "s", _gate(marked))
    assert eventually((marked.path.parent / "started").exists)
    if number == signal.SIGPIPE:  # python ignores it; a reader that goes away is what it is about
        assert waiter.stdout is not None
        waiter.stdout.close()
        waiter.stdout = None
    else:
        os.killpg(waiter.pid, number)
    if number == signal.SIGPIPE:
        marked.sh("echo opened > ../gate", timeout=20)
        _, err = end_of(waiter, 20)
        assert err == b"s/01\n", err
        assert assert_valid(marked, "s") == ["01"]
        return
    _, err = end_of(waiter, 20)
    assert waiter.returncode == -number and b"Traceback" not in err, err
    _goes_on(marked)


def test_ctrl_c_in_a_terminal(marked: Repo) -> None:
    """The key, not the signal: the terminal sends it to everybody in the foreground."""
    waiter, terminal = in_a_terminal(marked, "req", "--to", "shell", "--session", "s", "touch ../started; sleep 300")
    assert b"s/01" in read_until(terminal, b"s/01")
    assert eventually((marked.path.parent / "started").exists)
    os.write(terminal, b"\x03")
    said = read_until(terminal, b"is recorded as cancelled")
    assert b"is recorded as cancelled" in said and b"Traceback" not in said, said
    assert waiter.wait(timeout=patient(30)) == 130
    os.close(terminal)
    assert marked.subjects("s")[-1] == "res 01 shell -> uma-user: error, verify skip"
    assert_mended(marked, "s", "status")


# -- Ctrl-C ----------------------------------------------------------------------------------------


def _interrupt(repo: Repo, session: str, delay: float) -> bool:
    """One Ctrl-C after `delay` seconds; False if python itself had not come to our program yet."""
    before = requests(repo, session)
    waiter = repo.start("req", "--from", "uma", "--to", "shell", "--session", session, LONG)
    time.sleep(delay)
    used = sum(psutil.Process(waiter.pid).cpu_times()[:2])  # seconds of a processor, whatever else has them
    os.killpg(waiter.pid, signal.SIGINT)
    lost = used < 0.1 and not eventually(lambda: waiter.poll() is not None, 5)
    if lost:  # by python, in a callback of its import system before our first line; a person presses it again
        os.killpg(waiter.pid, signal.SIGINT)
    out, err = end_of(waiter, 60)
    if lost and b"_get_module_lock" in err:
        assert waiter.returncode == 130, (waiter.returncode, err)
        assert eventually(lambda: not supervisors(repo), 30)
        return False
    if waiter.returncode in (1, -signal.SIGINT) and out == b"" and b"gitrelay/" not in err:
        assert requests(repo, session) == before and used < 0.5
        return False
    assert waiter.returncode == 130, (waiter.returncode, err)
    assert out == b""
    for word in (b"Traceback", b"Exception ignored", b"this is a bug", b"KeyboardInterrupt"):
        assert word not in err, err.decode()
    assert len(err.splitlines()) <= 4, err.decode()
    # a supervisor that had been told to stop records that; nobody has to look
    assert eventually(lambda: not supervisors(repo), 30)
    if requests(repo, session) > before:
        subject = repo.subjects(session)[-1]
        assert subject.endswith("error, verify skip"), subject
        reason = repo.git("log", "-1", "--format=%(trailers:key=Relay-Reason,valueonly)", f"relay/{session}").strip()
        assert reason == "cancelled"
    assert not peers_left(repo), peers_left(repo)
    return True


@pytest.mark.parametrize("batch", range(BATCHES))
def test_interrupted_at_any_moment(marked: Repo, batch: int) -> None:
    dice = random.Random(f"{SEED}-interrupt-{batch}")
    length = length_of_a_call(marked)
    done = tries = 0
    while done < INTERRUPTS // BATCHES:
        tries += 1
        assert tries <= 10 * INTERRUPTS // BATCHES, "most come before our program runs"
        session = f"s{tries % 2}"
        delay = dice.uniform(0, length)
        try:
            hit = _interrupt(marked, session, delay)
            done += hit
            length *= 1.0 if hit else 1.3  # it came too early: the machine has more to do than when it was measured
            assert_mended(marked, session, dice.choice(("status", "show", "req")))
        except BaseException:
            print(f"seed {SEED}, batch {batch}, try {tries}: Ctrl-C after {delay:.3f} s in {session}")
            raise
    assert_all_valid(marked)


def test_ctrl_c_while_waiting_for_somebody_elses_call(marked: Repo) -> None:
    assert marked.relay("req", "--to", "shell", "--session", "s", "-d", _gate(marked)).code == 0
    assert eventually((marked.path.parent / "started").exists)
    dice = random.Random(SEED)
    code = 0
    while code != 130:  # until it did not come before our program
        waiter = marked.start("wait", "s/01")
        time.sleep(dice.uniform(0.1, 2 * length_of_a_call(marked)))
        os.killpg(waiter.pid, signal.SIGINT)
        out, err = end_of(waiter, 20)
        code = waiter.returncode
        assert code == 130 or b"gitrelay/" not in err, err
        assert out == b""
    assert b"Traceback" not in err, err
    _goes_on(marked)


def test_ctrl_c_while_a_lock_is_waited_for(marked: Repo) -> None:
    """At the twentieth try: one lock after the other is taken at the first."""
    import fcntl

    (marked.path / ".git/relay/locks").mkdir(parents=True)
    fault = {"FAULT_INTERRUPT": "try_acquire:20", "FAULT_LOG": str(marked.path.parent / "log")}
    with (marked.path / ".git/relay/locks/s.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = marked.relay("req", "--to", "shell", "--session", "s", "true", env={"PYTHONPATH": str(INJECT), **fault})
    assert done.code == 130 and "Traceback" not in done.err, done.err
    assert sessions(marked) == []
    assert eventually(lambda: not supervisors(marked))
    assert_mended(marked, "s", "status")


# -- .git/relay may go at any time -----------------------------------------------------------------


@pytest.mark.parametrize("words", [("--session", "s"), ("--name", "shot")], ids=["session", "one-shot"])
def test_the_state_folder_removed_while_a_call_runs(marked: Repo, words: tuple[str, str]) -> None:
    waiter = marked.start("req", "--to", "shell", *words, _gate(marked))
    assert eventually((marked.path.parent / "started").exists)
    assert eventually(lambda: bool(list((marked.path / ".git/relay/calls").glob("*/out.log"))))
    shutil.rmtree(marked.path / ".git/relay")
    (session,) = sessions(marked)
    refused = marked.relay("req", "--to", "shell", "--session", session, "true")
    assert refused.code == 6, refused.err  # its request waits for an answer, whatever is known of the call
    marked.sh("echo opened > ../gate", timeout=20)
    out, err = end_of(waiter, 30)
    assert waiter.returncode == 0 and b"\nopened\nafter all\n" in out, (out, err)
    ids = assert_valid(marked, session)
    assert len(ids) == 1
    done = marked.relay("req", "--to", "shell", "--session", session, "echo next")
    assert done.code == 0, done.err
    assert len(assert_valid(marked, session)) == 2


def test_the_state_folder_removed_between_calls(marked: Repo) -> None:
    for turn in range(1, 4):
        assert marked.relay("req", "--to", "shell", "--session", "s", "true").code == 0
        shutil.rmtree(marked.path / ".git/relay")
        assert len(assert_valid(marked, "s", fsck=False)) == turn
    assert marked.relay("show", "s/01").code == 0


def test_a_call_that_nobody_knows_of_any_more_can_be_closed(marked: Repo) -> None:
    """`.git/relay` and the supervisor are both gone: the request waits, is shown, and can be closed."""
    assert marked.relay("req", "--to", "shell", "--session", "s", "-d", LONG).code == 0
    assert eventually(lambda: peer(marked, "s") is not None)
    left = peer(marked, "s")
    assert left is not None
    kill_supervisors(marked)
    shutil.rmtree(marked.path / ".git/relay")
    status = marked.relay("status", "--all", "--json")
    assert [(row["address"], row["state"]) for row in status.json["data"]] == [("s/01", "waiting")]
    done = marked.relay("cancel", "s/01")
    assert done.code == 0 and "cancelled" in done.out, done.err
    kill([left])  # nobody can know of it: what named it was deleted
    assert_mended(marked, "s", "status")


def test_everything_at_once(marked: Repo) -> None:
    """As when a container is stopped: waiter, supervisor, peer and their git are killed together."""
    dice = random.Random(f"{SEED}-everything")
    length = length_of_a_call(marked)
    for n in range(rounds(3, 200)):
        delay = dice.uniform(0, length)
        waiter = marked.start("req", "--from", "uma", "--to", "shell", "--session", f"s{n % 2}", LONG)
        time.sleep(delay)
        while left := processes_with(*_mark(marked)):
            kill(left)
        end_of(waiter, 20)
        try:
            assert_mended(marked, f"s{n % 2}", dice.choice(("status", "show", "req")))
        except BaseException:
            print(f"seed {SEED}, round {n}: everything killed after {delay:.3f} s")
            raise
    assert_sound(marked)
