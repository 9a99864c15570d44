"""A worker that one leaves running: what it is told, when it takes no more jobs, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from gitrelay.ledger.ledger import open_ledger
from gitrelay.protocol.budget import Amount
from gitrelay.protocol.names import Address
from gitrelay.remote.away.sending import told
from gitrelay.remote.queue.jobs import Job, Known
from gitrelay.remote.worker.daily import Day
from support.repo import Repo, with_one_commit
from support.waiting import eventually

UNSIGNED = ("worker", "--remote", "origin", "--peers", "shell", "--poll", "0.1s", "--unsigned")

# plays claude: one model call, and the bill of $COST dollars
CLAUDE = f"""\
#!{sys.executable}
import json, os, sys
if "--version" in sys.argv:
    print("2.1.329 (Claude Code)")
    sys.exit()
sys.stdin.read()
usage = {{"input_tokens": 900, "output_tokens": 100}}
answer = {{"status": "done", "verify": "pass", "body": "Done."}}
for event in (
    {{"type": "system", "subtype": "init", "session_id": "11111111-1111-4111-8111-111111111111", "model": "m"}},
    {{"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "usage": usage,
      "total_cost_usd": float(os.environ["COST"]), "structured_output": answer}},
):
    print(json.dumps(event), flush=True)
"""


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    """A caller's clone and a worker's, with one bare remote; there is a claude that bills 60 cents a call."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/claude"
    program.write_text(CLAUDE)
    program.chmod(0o755)
    env = {**env, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{env['PATH']}", "COST": "0.6"}
    caller = with_one_commit(tmp_path, env)
    caller.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    return caller, Repo(tmp_path / "far", env)


def ask(caller: Repo, session: str, to: str, task: str) -> None:
    done = caller.relay("req", "--on", "origin", "-d", "--to", to, "--session", session, task)
    assert done.code == 0, done.err


def test_the_money_of_a_day_is_not_forgotten(two: tuple[Repo, Repo]) -> None:
    """What was used is kept over a restart; then nothing is taken, and the jobs wait for another worker."""
    caller, far = two
    for name, value in (("Remote", "origin"), ("Peers", "claude"), ("Budget", "1usd 5h"), ("Poll", "0.1s")):
        far.git("config", f"relay.worker{name}", value)
    for session in "abc":
        ask(caller, session, "claude", "Work.")
    done = far.relay("worker", "--unsigned", "--jobs", "1")
    assert done.code == 0 and "1 job, 0 left alone" in done.err, done.err
    checked = far.relay("worker", "--unsigned", "--check", "--json")
    data = checked.json["data"]
    assert checked.code == 0 and data["used_today"][0] == "0.6usd" and data["left_today"][0] == "0.4usd", data
    done = far.relay("worker", "--unsigned", "--once")
    assert "1.2usd of today's 1usd are used: no job is taken until " in done.err and "1 job, 0 left" in done.err, (
        done.err
    )
    checked = far.relay("worker", "--unsigned", "--check")
    assert checked.code == 1 and "problem: 1.2usd of today's 1usd are used" in checked.out, checked.out
    again = far.relay("worker", "--unsigned", "--jobs", "1", "--idle", "0.2s")
    assert again.code == 0 and "no job for 0.2s: this worker ends" in again.err and "0 jobs" in again.err, again.err
    assert len(caller.relay("queue", "--json").json["data"]["jobs"]) == 1
    bad = far.relay("worker", "--unsigned", "--budget-day", "2 shillings")
    assert bad.code == 2 and "--budget-day '2 shillings' is not a budget" in bad.err
    other = Repo(far.path.parent / "other", far.env)
    caller.sh("git clone -q ../hub.git ../other")
    assert other.relay("worker", "--remote", "origin", "--peers", "claude", "--unsigned", "--once").code == 0
    # the one that passed the cap may have been ended before its answer was whole
    codes = sorted(caller.relay("wait", session).code for session in "abc")
    assert codes[:2] == [0, 0] and codes[2] in (0, 4)


def test_a_job_counts_once_and_for_its_day(two: tuple[Repo, Repo]) -> None:
    """Also if the worker died before it could note what its call used, or lost it; yesterday's jobs do not count."""
    _, far = two
    done = far.relay("req", "--to", "claude", "--session", "s", "Work.")
    assert done.code == 0, done.err
    ledger = open_ledger(far.path)
    day = Day(ledger, Amount(usd=Decimal("0.5")))
    assert day.over() == "" and day.used() == Amount()
    job = Job("0" * 26, "claude", 5, "s", "1" * 40)
    day.begin(job, Address("s", "01"))
    assert day.used().usd == Decimal("0.6") and "0.6usd of today's 0.5usd are used" in day.over()
    day.settle()
    far.git("update-ref", "-d", "refs/heads/relay/s")  # as if the job was lost, and its branch put aside
    again = Day(open_ledger(far.path), Amount(usd=Decimal(1)))
    again.settle()
    assert again.used().usd == Decimal("0.6") and again.over() == ""
    path = ledger.state.root / "worker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"day": "2001-01-01"}))
    assert again.used() == Amount()
    day_of = json.loads(path.read_text())["day"]
    for text in ('{"version": 1, "day": [', json.dumps({"version": 1, "day": day_of, "jobs": [{"used": 1}]}), "[]"):
        path.write_text(text)
        assert again.used() == Amount() and day.over() == ""


def test_this_machines_own_budgets_hold_a_job(two: tuple[Repo, Repo]) -> None:
    """Who asks can have less than the worker's clone allows, and not more; nor more than is left of its day."""
    caller, far = two
    far.git("config", "relay.budget.call", "0.1s")
    words = ("--to", "shell", "--session", "s", "--budget", "1h", "sleep 1000")
    assert caller.relay("req", "--on", "origin", "-d", *words).code == 0
    assert far.relay(*UNSIGNED, "--once").code == 0
    answered = caller.relay("wait", "s")
    assert answered.code == 4 and "reason: budget" in answered.out, answered.out
    far.git("config", "--unset", "relay.budget.call")
    (far.path / ".git/relay/worker.json").unlink()  # a new day
    ask(caller, "t", "shell", "sleep 1000")
    held = far.relay(*UNSIGNED, "--once", "--budget-day", "0.5s")
    assert held.code == 0 and "t/01: answered" in held.err, held.err
    answered = caller.relay("wait", "t")
    assert answered.code == 4 and "reason: budget" in answered.out, answered.out


def test_check_says_all_that_is_offered_and_what_is_wrong(two: tuple[Repo, Repo], tmp_path: Path) -> None:
    _, far = two
    signers = tmp_path / "signers"
    signers.write_text('# ours\numa namespaces="git" ssh-ed25519 AAAA\n')
    signers.chmod(0o600)
    far.git("config", "relay.origin.signers", str(signers))
    far.git("config", "relay.workerRemote", "origin")
    far.git("config", "relay.origin.workerPeers", "claude,shell")
    done = far.relay("worker", "--check", "--budget-day", "3usd", "--jobs", "4", "--idle", "10m")
    assert done.code == 0, done.out + done.err
    lines = dict(line.split(": ", 1) for line in done.out.splitlines() if ": " in line)
    said = {name: text.strip() for name, text in lines.items()}
    assert said["peers"].startswith("claude (/") and "2.1.329" in said["peers"] and ", shell (" in said["peers"]
    assert said["answers"] == f"requests signed by uma ({signers})" and said["access"] == "read, write"
    assert said["limits"] == "4 jobs; ends after 600s without a job; 3usd a day, of which 3usd are left"
    assert "shell does not tell what it uses: usd" in said["warning"] and done.out.endswith("ready\n")
    signers.chmod(0o666)
    far.git("remote", "set-url", "origin", str(tmp_path / "nowhere.git"))
    done = far.relay("worker", "--check", "--peers", "codex,nobody", "--access", "read,full", "--json")
    data = done.json["data"]
    assert done.code == 1 and data["peers"][0] == {"name": "codex", "program": None, "version": None}
    told = " ".join(data["problems"])
    for words in ("gives no answer", "codex was not found", "'nobody'", "others may write"):
        assert words in told, told
    assert any("full access" in line for line in data["warnings"])
    far.git("config", "relay.origin.signers", "signers")
    relative = far.relay("worker", "--check")
    assert relative.code == 2 and "is a relative path" in relative.err, relative.err


def test_sigterm_ends_a_worker_after_its_job_and_ctrl_c_gives_it_back(
    two: tuple[Repo, Repo], mark: dict[str, str]
) -> None:
    caller, far = two
    seen, go = caller.path.parent / "seen", caller.path.parent / "go"
    ask(caller, "a", "shell", f"touch {seen}; until [ -e {go} ]; do sleep 0.05; done")
    running = far.start(*UNSIGNED, "--lease", "10s", env=mark)
    try:
        assert eventually(seen.exists, 60)
        ask(caller, "b", "shell", "true")
        running.send_signal(signal.SIGTERM)
        go.touch()
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0 and "a/01: answered" in err.decode() and "b/01" not in err.decode(), err
        seen.unlink()
        go.unlink()
        assert far.relay(*UNSIGNED, "--once").code == 0
        ask(caller, "c", "shell", f"touch {seen}; sleep 1000")
        running = far.start(*UNSIGNED, "--lease", "1h", env=mark)
        assert eventually(seen.exists, 60)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 130, err
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    rows = caller.relay("queue", "--json").json["data"]["jobs"]
    assert [(row["session"], row["state"], row["attempt"]) for row in rows] == [("c", "waiting", 1)], rows
    assert [row["address"] for row in far.relay("status", "--json").json["data"]] == []


def test_a_second_ctrl_c_ends_a_worker_at_once(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """The first one wants to give the job back, and the remote does not let it; the claim is left to its end."""
    caller, far = two
    seen, hooked, go = (caller.path.parent / name for name in ("seen", "hooked", "go"))
    ask(caller, "s", "shell", f"touch {seen}; sleep 1000")
    running = far.start(*UNSIGNED, "--lease", "1h", env=mark)
    try:
        assert eventually(seen.exists, 60)
        hook = caller.path.parent / "hub.git/hooks/pre-receive"
        hook.write_text(f"#!/bin/sh\ntouch {hooked}\nuntil [ -e {go} ]; do sleep 0.05; done\nexit 1\n")
        hook.chmod(0o755)
        running.send_signal(signal.SIGINT)
        assert eventually(hooked.exists, 60)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 130 and b"Traceback" not in err, err
    finally:
        go.touch()
        if running.poll() is None:
            running.kill()
            running.wait()
    rows = caller.relay("queue", "--json").json["data"]["jobs"]
    assert [(row["session"], row["state"]) for row in rows] == [("s", "taken")]


def until(running: subprocess.Popen[bytes], words: bytes) -> bytes:
    """What a worker has said up to the line with `words`."""
    assert running.stderr is not None
    said = b""
    while words not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    return said


def test_an_outage_longer_than_the_lease_ends_no_worker(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """Its answer is kept meanwhile, and published afterwards; the peer is asked once."""
    caller, far = two
    hub, away, log = (caller.path.parent / name for name in ("hub.git", "away.git", "log"))
    ask(caller, "s", "shell", f"mv {hub} {away}; echo run >> {log}")
    running = far.start(*UNSIGNED, "--jobs", "1", "--lease", "0.3s", env=mark)
    try:
        until(running, b"what was done is kept here")
        away.rename(hub)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0 and b"it is not asked again" in err and b"s/01: answered" in err, err
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    answered = caller.relay("wait", "s")
    assert answered.code == 0 and log.read_text() == "run\n", answered.err


def test_a_job_that_was_given_back_is_taken_again(two: tuple[Repo, Repo], mark: dict[str, str]) -> None:
    """Once its session is in use no more on the worker's machine."""
    caller, far = two
    go = caller.path.parent / "go"
    caller.relay("req", "--to", "shell", "--session", "s", "true")
    caller.sh("git push -q origin relay/s refs/relay/code/s")
    far.sh("git fetch -q origin relay/s:relay/s refs/relay/code/s:refs/relay/code/s")
    busy = far.relay(
        "req", "-d", "--to", "shell", "--session", "s", f"until [ -e {go} ]; do sleep 0.05; done", env=mark
    )
    assert busy.code == 0, busy.err
    ask(caller, "s", "shell", "echo hi")
    running = far.start(*UNSIGNED, "--jobs", "1", "--lease", "1s", env=mark)
    try:
        until(running, b"given back")
        go.touch()
        assert far.relay("wait", "s/02").code == 0
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0 and b"s/02: answered" in err, err
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    answered = caller.relay("wait", "s")
    assert answered.code == 0 and "hi" in answered.out, answered.err


def test_a_variable_that_is_not_set_is_not_every_job(two: tuple[Repo, Repo]) -> None:
    caller, far = two
    ask(caller, "s", "shell", "echo hi")
    for word in ("", "s/01", "0" * 25):
        done = far.relay(*UNSIGNED, "--job", word)
        assert done.code == 2 and f"--job '{word}' is no id of a job" in done.err, done.err
    other = far.relay(*UNSIGNED, "--job", "0" * 26)
    assert other.code == 0 and "0 jobs, 0 left alone" in other.err, other.err


def test_how_long_nobody_took_a_job_is_said() -> None:
    job = Job("0" * 26, "codex", 5, "s", "1" * 40)
    now = time.time()
    assert told(Known(job, 0, "", now)) == "no worker has taken it"
    assert told(Known(job, 0, "", now - 300)) == "no worker has taken it, asked 5 minutes ago"
    assert told(Known(job, 2, "", now - 300)) == "no worker has taken it, 2 have given it back"
