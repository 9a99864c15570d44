"""What is recorded only grows: whatever happens to `.git/relay`, to the branch or to the place of the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.ledgercheck import assert_valid
from support.repo import Repo
from support.waiting import eventually, patient


@pytest.fixture
def slow(repo: Repo) -> Repo:
    """A repository with the peer `slow`, which says that it has started and then waits for the file `go`."""
    folder = repo.path.parent
    program = folder / "slow"
    program.write_text(
        f"#!/bin/sh\ncat >/dev/null; echo $$ >>'{folder}/started'\n"
        f"i=0; while [ ! -e '{folder}/go' ] && [ $i -lt 1200 ]; do sleep 0.1; i=$((i+1)); done\n"
        "echo 'the slow answer'\n"
    )
    program.chmod(0o755)
    repo.git("config", "relay.slow.command", str(program))
    repo.git("config", "relay.slow.plain", "true")
    return repo


def started(repo: Repo) -> None:
    assert eventually((repo.path.parent / "started").exists, 60)


def let_go(repo: Repo) -> None:
    (repo.path.parent / "go").touch()


def ask(repo: Repo, *words: str) -> None:
    asked = repo.relay("req", "--from", "uma", "--to", "slow", "--session", "s", "-d", *words, "one")
    assert asked.code == 0, asked.err
    started(repo)


def responses(repo: Repo) -> list[str]:
    """The subjects of all responses, on branches and in the archive."""
    out = repo.git("log", "--format=%s", "--glob=refs/heads/relay/", "--glob=refs/relay/archive/")
    return [line for line in out.splitlines() if line.startswith("res ")]


def is_idle(repo: Repo) -> bool:
    calls = repo.path / ".git/relay/calls"
    return not calls.exists() or not list(calls.iterdir())


def test_the_state_comes_back_while_a_call_runs(slow: Repo) -> None:
    """Deleted twice, it is there again within a moment: the call is known, and a second one is refused."""
    ask(slow)
    for _ in range(2):
        shutil.rmtree(slow.path / ".git/relay")
        assert eventually((slow.path / ".git/relay/calls/s/call.json").exists)
    assert [row["address"] for row in slow.relay("status", "--json").json["data"]] == ["s/01"]
    assert slow.relay("archive", "s").code == 6
    let_go(slow)
    done = slow.relay("wait", "s/01")
    assert done.code == 0 and "the slow answer" in done.out, (done.out, done.err)
    assert_valid(slow, "s")
    assert eventually(lambda: is_idle(slow))


@pytest.mark.parametrize("how", ["next turn", "archived"])
def test_what_was_recorded_without_the_supervisor_stays(slow: Repo, how: str) -> None:
    """The request is closed while `.git/relay` cannot be had; the answer that comes later moves nothing back."""
    ask(slow)
    pid = int((slow.path.parent / "started").read_text())
    state = slow.path / ".git/relay"
    shutil.rmtree(state)
    state.write_text("a file is in the way of the supervisor")
    text = "res 01 slow -> uma: error, verify skip\n\nBy hand.\n\nRelay-Id: 01\nRelay-From: slow\nRelay-To: uma\n"
    text += "Relay-Status: error\nRelay-Verify: skip\nRelay-Reason: cancelled\nRelay-Recorded: gitrelay\n"
    message = "---\nrelay: 4\nre: 01\nfrom: slow\nto: uma\nstatus: error\nverify: skip\nreason: cancelled\n---\n\nno\n"
    (slow.path.parent / "text").write_text(text)
    (slow.path.parent / "message").write_text(message)
    slow.sh(
        "blob=$(git hash-object -w --no-filters ../message)\n"
        "tree=$( (git ls-tree relay/s; printf '100644 blob %s\\t01.res.md\\n' $blob) | git mktree)\n"
        "export GIT_AUTHOR_NAME=slow GIT_AUTHOR_EMAIL=slow@gitrelay.invalid\n"
        "commit=$(git commit-tree -p relay/s -F ../text $tree)\n"
        "git update-ref refs/heads/relay/s $commit\n"
    )
    if how == "archived":
        slow.sh("git update-ref refs/relay/archive/s relay/s; git update-ref -d refs/heads/relay/s")
    ref = "refs/relay/archive/s" if how == "archived" else "refs/heads/relay/s"
    before = slow.git("rev-parse", ref)
    let_go(slow)
    assert eventually(lambda: not _lives(pid), 60)
    state.unlink()
    if how == "next turn":
        done = slow.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo two")
        assert done.code == 0, done.err
    slow.git("merge-base", "--is-ancestor", before, ref)
    assert [s for s in responses(slow) if s.startswith("res 01")] == ["res 01 slow -> uma: error, verify skip"]
    assert slow.git("for-each-ref", "refs/relay/aside") == ""


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("look", [["status"], ["show", "s"], ["wait", "s/01"], ["cancel", "s/01"]])
def test_a_look_into_a_copy_ends_nothing_in_the_original(slow: Repo, look: list[str]) -> None:
    ask(slow)
    copy = slow.path.parent / "copy"
    subprocess.run(["cp", "-a", str(slow.path), str(copy)], check=True)
    slow.relay(*look, cwd=copy)
    let_go(slow)
    done = slow.relay("wait", "s/01")
    assert done.code == 0 and "the slow answer" in done.out, (done.out, done.err)
    after = slow.relay("req", "--from", "uma", "--to", "shell", "--session", "s", "echo in the copy", cwd=copy)
    assert after.code == 0, after.err
    assert (slow.path / ".relay/s/01.res.md").exists()
    assert_valid(slow, "s")


@pytest.mark.parametrize("there", ["next door", "deeper down"])
def test_a_repository_that_is_moved_gets_its_answer(slow: Repo, there: str) -> None:
    waiter = slow.start("req", "--from", "uma", "--to", "slow", "--session", "s", "--check", "test -f app.py", "one")
    started(slow)
    new = slow.path.parent / there / "again"
    new.parent.mkdir(exist_ok=True)
    os.rename(slow.path, new)
    let_go(slow)
    out, err = waiter.communicate(timeout=patient(120))
    assert waiter.returncode == 0 and b"the slow answer" in out, (out, err)
    assert not slow.path.exists()
    moved = Repo(new, slow.env)
    assert moved.subjects("s")[-2:] == ["res 01 slow -> uma: done, verify skip", "chk 01 pass: test -f app.py"]
    assert moved.relay("req", "--to", "shell", "--session", "s", "echo on").code == 0


def test_a_repository_that_is_replaced_is_left_alone(slow: Repo) -> None:
    """Moved away, and another one is made at its place: the answer is recorded where the call was made."""
    ask(slow)
    new = slow.path.parent / "moved"
    os.rename(slow.path, new)
    subprocess.run(["git", "init", "-q", str(slow.path)], check=True, env=dict(slow.env))
    let_go(slow)
    moved = Repo(new, slow.env)
    assert eventually(lambda: responses(moved) != [], 60)
    assert "the slow answer" in moved.git("show", "relay/s:01.res.md")
    assert not (slow.path / ".git/relay").exists() and not (slow.path / ".relay").exists()


def test_only_the_peer_answers_while_it_works(slow: Repo) -> None:
    ask(slow)
    words = [
        "res",
        "--session",
        "s",
        "--re",
        "01",
        "--from",
        "slow",
        "--to",
        "uma",
        "--status",
        "done",
        "--verify",
        "pass",
        "by-hand",
    ]
    refused = slow.relay(*words)
    assert refused.code == 6 and "cancel s/01" in refused.err, refused.err
    assert slow.relay("archive", "s").code == 6
    assert slow.relay("close", "s").code == 6
    let_go(slow)
    assert slow.relay("wait", "s/01").code == 0
    assert slow.relay(*words).code == 2
    assert responses(slow) == ["res 01 slow -> uma: done, verify skip"]


def test_a_peer_records_its_own_answer(repo: Repo) -> None:
    """Also one whose tools run in a clean environment."""
    program = repo.path.parent / "own"
    program.write_text(
        "#!/bin/sh\ncat >/dev/null\n"
        'env -i HOME="$HOME" PATH="$PATH" git relay res --session s --re 01 --from own --to uma --status done '
        "--verify pass 'my own words'\necho chatter\n"
    )
    program.chmod(0o755)
    repo.git("config", "relay.own.command", str(program))
    done = repo.relay("req", "--from", "uma", "--to", "own", "--session", "s", "one")
    assert done.code == 0 and "my own words" in done.out, (done.out, done.err)
    assert responses(repo) == ["res 01 own -> uma: done, verify pass"]


def test_checks_that_run_hold_off_close_and_archive(repo: Repo) -> None:
    folder = repo.path.parent
    check = f"touch '{folder}/checking'; while [ ! -e '{folder}/go' ]; do sleep 0.1; done"
    words = ("--from", "uma", "--to", "shell", "--session", "s", "-d", "--check", check, "true")
    assert repo.relay("req", *words).code == 0
    assert eventually((folder / "checking").exists, 60)
    for verb in ("close", "archive"):
        refused = repo.relay(verb, "s")
        assert refused.code == 6 and "s/01" in refused.err, refused.err
    let_go(repo)
    assert repo.relay("wait", "s/01").code == 0
    assert repo.subjects("s")[-1].startswith("chk 01 pass")
    assert repo.relay("archive", "s").code == 0


def test_a_request_that_nobody_works_on_is_not_waited_for(slow: Repo) -> None:
    """The supervisor is gone and so is what was known of the call: `wait` says so, and it can be closed."""
    ask(slow)
    _end_supervisor(slow)
    shutil.rmtree(slow.path / ".git/relay")
    let_go(slow)
    done = slow.relay("wait", "s/01", timeout=60)
    assert done.code == 8 and "nobody here works on it" in done.err, done.err
    assert slow.relay("cancel", "s/01").code == 0
    assert slow.relay("req", "--to", "shell", "--session", "s", "true").code == 0


def test_a_caller_that_lost_its_call_ends(slow: Repo) -> None:
    waiter = slow.start("req", "--from", "uma", "--to", "slow", "--session", "s", "one")
    started(slow)
    _end_supervisor(slow)
    shutil.rmtree(slow.path / ".git/relay")
    let_go(slow)
    out, err = waiter.communicate(timeout=patient(90))
    assert waiter.returncode == 4 and b"reason: lost" in out, (out, err)
    assert responses(slow) == ["res 01 slow -> uma: error, verify skip"]


def test_a_request_for_a_person_is_waited_for(repo: Repo) -> None:
    assert repo.relay("req", "--from", "uma", "--to", "bob", "--session", "s", "--no-invoke", "look").code == 0
    waiter = repo.start("wait", "s/01")
    with pytest.raises(subprocess.TimeoutExpired):
        waiter.wait(7)  # longer than a request that nobody works on is waited for
    words = ("--from", "bob", "--to", "uma", "--status", "done", "--verify", "skip", "seen")
    assert repo.relay("res", "--session", "s", "--re", "01", *words).code == 0
    out, err = waiter.communicate(timeout=patient(60))
    assert waiter.returncode == 0 and b"seen" in out, err


def _end_supervisor(repo: Repo) -> None:
    pid = int((repo.path / ".git/relay/calls/s/alive").read_text().split()[0])
    os.kill(pid, 9)
    assert eventually(lambda: not _lives(pid) or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
