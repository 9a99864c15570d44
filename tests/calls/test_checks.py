"""--check: what gitrelay itself saw stands beside what the peer claims, and decides the exit code."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from support.repo import Repo
from support.waiting import eventually, patient

SHELL = ("req", "--from", "uma", "--to", "shell", "--session", "s")


def last(repo: Repo, key: str, rev: str = "relay/s") -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key={key},valueonly)", rev).strip()


def test_checks_are_commits_of_their_own(repo: Repo) -> None:
    done = repo.relay(*SHELL, "--check", "grep print app.py", "--check", "echo 'a: b' && test -e new", "touch new")
    assert done.code == 0, done.err
    assert "check pass: grep print app.py" in done.err
    assert repo.subjects("s") == [
        "open s",
        "req 01 uma -> shell: touch new",
        "res 01 shell -> uma: done, verify pass",
        "chk 01 pass: grep print app.py",
        "chk 01 pass: echo 'a: b' && test -e new",
    ]
    assert repo.git("log", "-1", "--format=%an <%ae>", "relay/s") == "gitrelay <gitrelay@gitrelay.invalid>"
    assert last(repo, "Relay-Check") == "pass: echo 'a: b' && test -e new"
    assert last(repo, "Relay-Tree") == last(repo, "Relay-Tree", "relay/s~2") != repo.git("rev-parse", "HEAD^{tree}")
    text = repo.git("show", "relay/s:01.check-2.md")
    assert "check: \"echo 'a: b' && test -e new\"\nresult: pass\n" in text and "a: b\n```\n" in text
    assert (repo.path / ".relay/s/01.check.md").read_text() == repo.git("show", "relay/s:01.check.md") + "\n"


def test_a_failing_check_decides_and_the_claim_is_called_out(repo: Repo) -> None:
    repo.git("config", "relay.liar.command", "printf '%s\\n' --- 'relay: 4' 're: 01' 'from: liar' 'to: uma'"
             " 'status: done' 'verify: pass' --- '' 'All 48 tests pass.'")  # fmt: skip
    done = repo.relay("req", "--from", "uma", "--to", "liar", "--session", "s", "--check", "echo boom; exit 3", "go")
    assert done.code == 1, done.err
    assert "All 48 tests pass." in done.out
    assert "check fail (exit 3): echo boom; exit 3, although liar claimed verify: pass" in done.err
    assert repo.subjects("s")[-1] == "chk 01 fail (exit 3): echo boom; exit 3"
    assert repo.relay("wait", "s/01").code == 1
    (row,) = repo.relay("ls", "--json").json["data"]
    assert (row["turns"], row["from"], row["to"], row["verify"]) == (1, "uma", "liar", "fail")
    assert (row["outcome"], row["checked"]) == ("check-failed", True)
    for verb in (("ls",), ("log",), ("show", "s/01")):
        shown = repo.relay(*verb)
        assert "check-failed" in shown.out and "done pass" not in shown.out, shown.out
    for verb in (("log",), ("show", "s/01"), ("wait", "s/01")):
        (found,) = repo.relay(*verb, "--json").json["data"]
        assert (found["outcome"], found["verify"], found["checked"]) == ("check-failed", "pass", True)
    assert repo.relay(*SHELL, "true").code == 0, "the next turn begins behind the check"


def test_a_check_has_a_limit(repo: Repo) -> None:
    repo.git("config", "relay.checkTimeout", "1s")
    done = repo.relay(*SHELL, "--check", "echo begun; sleep 60", "true")
    assert done.code == 1 and repo.subjects("s")[-1] == "chk 01 timeout: echo begun; sleep 60"
    assert "begun" in repo.git("show", "relay/s:01.check.md")


def test_output_is_kept_at_both_ends(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--check", "echo FIRST; seq 1 100000; echo LAST", "true").code == 0
    text = repo.git("show", "relay/s:01.check.md")
    assert "FIRST" in text and "LAST" in text and "bytes left out" in text and len(text) < 100_000


def test_nothing_is_checked_where_there_is_no_answer(repo: Repo) -> None:
    repo.git("config", "relay.dead.command", "sh -c 'exit 9'")
    done = repo.relay("req", "--to", "dead", "--session", "s", "--check", "touch ran", "go")
    assert done.code == 4 and not (repo.path / "ran").exists()
    assert len(repo.subjects("s")) == 3


def supervisor_of(session: str) -> psutil.Process:
    """The supervisor that runs the check `sleep 61` of `session`."""
    (found,) = [p.parent() for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sh", "-c", "sleep 61"]]
    assert found is not None
    return found


def test_a_supervisor_that_dies_in_a_check_loses_neither(repo: Repo) -> None:
    assert repo.relay(*SHELL, "-d", "--check", "sleep 61", "--check", "true", "echo answered").code == 0
    assert eventually(
        lambda: any(p.info["cmdline"] == ["sh", "-c", "sleep 61"] for p in psutil.process_iter(["cmdline"]))
    )
    early = repo.relay("wait", "s/01", "--timeout", "100ms")
    assert early.code == 8, "the checks are part of the call"
    assert repo.relay(*SHELL, "true").code == 6
    supervisor = supervisor_of("s")
    children = supervisor.children(recursive=True)
    os.kill(supervisor.pid, signal.SIGKILL)
    done = repo.relay("wait", "s/01", timeout=60)
    for child in children:
        if child.is_running():
            child.kill()
    assert done.code == 1 and "answered" in done.out, done.err
    assert repo.subjects("s")[-2:] == ["chk 01 lost: sleep 61", "chk 01 lost: true"]
    again = repo.relay("check-again", "s/01", "--check", "sleep 61 & kill $!", "--check", "true")
    assert again.code in (0, 1)
    assert repo.relay(*SHELL, "true").code == 0


def test_check_again_appends(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--check", "test -e mended", "true").code == 1
    (repo.path / "mended").touch()
    again = repo.relay("check-again", "s/01")
    assert again.code == 0 and again.out == "pass: test -e mended\n"
    assert [s for s in repo.subjects("s") if s.startswith("chk")] == [
        "chk 01 fail (exit 1): test -e mended",
        "chk 01 pass: test -e mended",
    ]
    assert repo.relay("wait", "s/01").code == 0, "the last run of a check counts"
    assert repo.relay("check-again", "s/01", "--check", "exit 2").code == 1
    assert repo.relay(*SHELL, "true").code == 0
    assert repo.relay("check-again", "s/01").code == 1
    none = repo.relay("check-again", "s/02")
    assert none.code == 2 and "--check CMD" in none.err


@pytest.mark.parametrize("bad", ["", "two\nlines", "x" * 1001])
def test_a_check_that_is_no_command(repo: Repo, bad: str) -> None:
    refused = repo.relay(*SHELL, "--check", bad, "true")
    assert refused.code == 2 and "is not a command" in refused.err
    assert repo.git("for-each-ref", "refs/heads/relay") == ""


def test_ctrl_c_in_check_again_ends_the_check(repo: Repo, tmp_path: Path) -> None:
    assert repo.relay(*SHELL, "true").code == 0
    running = repo.start("check-again", "s/01", "--check", f"echo $$ > {tmp_path}/pid; exec sleep 62")
    assert eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=patient(30))
    assert running.returncode == 130 and b"Traceback" not in err
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
