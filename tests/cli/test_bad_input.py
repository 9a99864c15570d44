"""Bad input: one line that quotes the bad value and says what to do, the right exit code, nothing half-written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.mounts import mount_read_only
from support.repo import BIN, GIT_RELAY, Done, Repo
from support.waiting import eventually, patient

SHELL = ("req", "--to", "shell")


def refs(repo: Repo) -> str:
    return repo.git("for-each-ref")


def assert_refused(repo: Repo, done: Done, code: int, *words: str) -> None:
    """One line on stderr with `words` and a hint behind a ';', the exit code, and no relay branch."""
    assert done.code == code, done.err
    assert done.raw == b""
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("git-relay: ") and "; " in lines[0]
    for word in words:
        assert word in lines[0]
    hints = lines[0].split("; ")
    assert len(hints) == len(set(hints)), "a hint is there twice"
    assert "relay/" not in refs(repo)
    assert not list((repo.path / ".relay").glob("*")) if (repo.path / ".relay").exists() else True


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((*SHELL, "--session", "Bad Slug", "true"), ("'Bad Slug'", "'bad-slug'")),
        ((*SHELL, "--session", "a" * 65, "true"), ("a" * 65, "64")),
        ((*SHELL, "--session", "../x", "true"), ("'../x'",)),
        ((*SHELL, "--name", "Ünï", "true"), ("'Ünï'", "'uni'")),
        ((*SHELL, "--from", "-x", "true"), ("'-x'",)),
        (("xyzzy",), ("'xyzzy'", "git relay -h")),
        (("lgo",), ("'lgo'", "'log'")),
        (("req", "--to", "nobody", "hello"), ("'nobody'", "claude", "git config relay.nobody.command")),
        (("req", "--to", "No Body", "hello"), ("'No Body'", "slug")),
        ((*SHELL, ""), ("empty",)),
        ((*SHELL, "  \n "), ("empty",)),
        ((*SHELL, "two", "words"), ("two words", "quote it")),
        ((*SHELL, "--access", "root", "true"), ("'root'", "read, write or full")),
        ((*SHELL, "--access", "read", "true"), ("read", "write, full")),
        ((*SHELL, "--timeout", "5 parsecs", "true"), ("'5 parsecs'", "15m")),
        ((*SHELL, "--wait", "-3", "true"), ("'-3'",)),
        ((*SHELL, "--model", "-x; rm", "true"), ("'-x; rm'",)),
        ((*SHELL, "--session", "a", "--name", "b", "true"), ("exclude",)),
        (("req", "true"), ("--to",)),
        (("requ", "true"), ("'requ'", "'req'")),
        (("show", "nothing"), ("'nothing'", "git relay ls")),
        (("show", "a/b"), ("'a/b'", "SESSION/ID")),
        (("wait", "nothing/01"), ("'nothing'",)),
        (("cancel", "a\x1b[31mb"), ("a\\x1b[31mb",)),
        (("close",), ("--idle",)),
        (("archive", "nothing"), ("'nothing'",)),
    ],
)
def test_wrong_words(repo: Repo, args: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_refused(repo, repo.relay(*args), 2, *words)


def test_not_a_repository(repo: Repo, tmp_path: Path) -> None:
    place = tmp_path / "no repository"
    place.mkdir()
    for args in ((*SHELL, "true"), ("ls",), ("status",)):
        assert_refused(repo, repo.relay(*args, cwd=place), 2, "no repository", "git init")
    assert list(place.iterdir()) == []


def test_a_bare_repository_has_no_place_for_a_peer(repo: Repo) -> None:
    repo.sh("git init -q --bare ../bare.git")
    assert_refused(repo, repo.relay(*SHELL, "true", cwd=repo.path.parent / "bare.git"), 2, "bare.git", "--no-invoke")


def test_no_commit_yet_is_no_obstacle(tmp_path: Path, env: dict[str, str]) -> None:
    repo = Repo(tmp_path, env)
    repo.sh("git init -q")
    done = repo.relay(*SHELL, "--session", "s", "true")
    assert done.code == 0, done.err
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Head,valueonly)", "relay/s").strip() == "unborn"


def test_a_user_branch_named_relay(repo: Repo) -> None:
    repo.git("branch", "relay")
    for args in ((*SHELL, "true"), (*SHELL, "--session", "s", "true")):
        assert_refused(repo, repo.relay(*args), 2, "branch 'relay'", "git branch -m relay")


def test_the_missing_program_of_a_peer_is_a_recorded_answer(repo: Repo) -> None:
    repo.git("config", "relay.gone.command", "no-such-program --fast")
    done = repo.relay("req", "--to", "gone", "--session", "s", "hello")
    assert done.code == 4
    assert "reason: unavailable" in done.out and "no-such-program" in done.out
    script = repo.path.parent / "script"
    script.write_text("#!/bin/sh\necho hi\n")
    script.chmod(0o644)
    repo.git("config", "relay.gone.command", str(script))
    done = repo.relay("req", "--to", "gone", "--session", "s", "hello")
    assert done.code == 4
    assert "Permission denied" in done.out and str(script) in done.out
    repo.git("config", "relay.gone.command", "./script")
    done = repo.relay("req", "--to", "gone", "--session", "s", "hello")
    assert done.code == 4 and "reason: unavailable" in done.out


def test_a_command_that_cannot_be_split(repo: Repo) -> None:
    repo.git("config", "relay.odd.command", "'unclosed")
    assert_refused(repo, repo.relay("req", "--to", "odd", "hi"), 2, "relay.odd.command", "'unclosed", ".git/config")


def test_no_identity_commits_as_gitrelay(repo: Repo) -> None:
    Path(repo.env["GIT_CONFIG_GLOBAL"]).write_text("")
    done = repo.relay(*SHELL, "--session", "s", "true")
    assert done.code == 0, done.err
    assert set(repo.git("log", "--format=%cn <%ce>", "relay/s").splitlines()) == {
        "gitrelay <gitrelay@gitrelay.invalid>"
    }


@pytest.mark.parametrize("setting", ["commit.gpgsign", "relay.sign"])
def test_a_signature_that_cannot_be_made_records_nothing(repo: Repo, setting: str) -> None:
    repo.sh(f"git config {setting} true; git config gpg.format ssh; git config user.signingKey /nonexistent/key")
    assert_refused(repo, repo.relay(*SHELL, "true"), 4, "cannot be signed", "relay.sign false")
    repo.git("config", "relay.sign", "false")
    assert repo.relay(*SHELL, "true").code == 0


def test_a_task_of_ten_megabytes(repo: Repo) -> None:
    done = repo.relay(*SHELL, "-", stdin=b"x" * 10_000_000)
    assert_refused(repo, done, 2, "10000000 bytes", "--file")


def test_stdin_that_is_not_text(repo: Repo) -> None:
    assert_refused(repo, repo.relay(*SHELL, "-", stdin=b"abc\xff"), 2, "0xff at offset 3", "UTF-8")
    assert_refused(repo, repo.relay(*SHELL, stdin=b"a\0b"), 2, "NUL", "--file")


def test_an_argument_that_is_not_text(repo: Repo) -> None:
    done = subprocess.run(
        [*(w.encode() for w in GIT_RELAY), b"req", b"--to", b"shell", b"a\xffb"],
        cwd=repo.path,
        env=dict(repo.env),
        capture_output=True,
        timeout=60,
    )
    assert_refused(repo, Done(done.returncode, done.stdout, done.stderr.decode()), 2, "UTF-8")


def test_a_git_that_is_too_old(repo: Repo, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "git").write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo "git version 2.29.3" && exit\nexec {shutil.which("git")} "$@"\n'
    )
    (fake / "git").chmod(0o755)
    done = repo.relay(*SHELL, "true", env={"PATH": f"{fake}:{repo.env['PATH']}"})
    assert_refused(repo, done, 4, "git 2.29.3 is too old", "2.30")


def test_no_git_at_all(repo: Repo, tmp_path: Path) -> None:
    done = repo.relay(*SHELL, "true", env={"PATH": str(tmp_path)})
    assert_refused(repo, done, 4, "git is not installed", "install git")


def test_a_busy_session_says_who_holds_it_and_since_when(repo: Repo) -> None:
    first = repo.relay(*SHELL, "--from", "ada", "--session", "s", "-d", "sleep 60")
    assert first.code == 0 and first.out == "s/01\n"
    second = repo.relay(*SHELL, "--session", "s", "true")
    assert second.code == 6
    for word in ("session s has a turn in flight", "s/01", "ada -> shell", "since ", "git relay wait s/01"):
        assert word in second.err
    closed = repo.relay("close", "s")
    assert closed.code == 6 and "s/01" in closed.err
    archived = repo.relay("archive", "s")
    assert archived.code == 6 and "s/01" in archived.err
    assert repo.relay("cancel", "s/01").code == 0
    assert repo.subjects("s")[-1] == "res 01 shell -> ada: error, verify skip"


def test_a_request_that_waits_for_a_person_is_not_healed_away(repo: Repo) -> None:
    asked = repo.relay("req", "--from", "ada", "--to", "bob", "--session", "s", "--no-invoke", "Look at app.py")
    assert asked.code == 0, asked.err
    assert Path(asked.out.strip()).read_text().endswith("{your response}\n")
    second = repo.relay(*SHELL, "--session", "s", "true")
    assert second.code == 6 and "git relay res --session s --re 01" in second.err
    assert repo.relay("wait", "s/01", "--timeout", "50ms").code == 8
    answer = ("res", "--session", "s", "--re", "01", "--to", "ada", "--status", "done")
    wrong = repo.relay(*answer, "--from", "eve", "--verify", "skip", "hi")
    assert wrong.code == 2 and "'eve'" in wrong.err and "--from bob" in wrong.err
    right = repo.relay(*answer, "--from", "bob", "--verify", "fail", "hi")
    assert right.code == 0, right.err
    twice = repo.relay(*answer, "--from", "bob", "--verify", "pass", "hi")
    assert twice.code == 2 and "answered already" in twice.err
    assert repo.relay("wait", "s/01").code == 1


def test_a_git_folder_that_cannot_be_written(repo: Repo) -> None:
    dot_git = repo.path / ".git"
    if mount_read_only(dot_git):
        try:
            done = repo.relay(*SHELL, "true")
        finally:
            subprocess.run(["umount", dot_git], check=True, timeout=20)
        assert_refused(repo, done, 4, "Read-only file system", "outside the sandbox")
    elif os.geteuid() != 0:
        repo.sh("chmod -R a-w .git")
        try:
            done = repo.relay(*SHELL, "true")
        finally:
            repo.sh("chmod -R u+w .git")
        assert_refused(repo, done, 4, "Permission denied", "outside the sandbox")
    else:
        pytest.skip("root without mount rights: no way to make .git read-only here")


def test_a_git_folder_that_becomes_unwritable_below(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    before = refs(repo)
    objects = repo.path / ".git/objects"
    if not mount_read_only(objects):
        pytest.skip("no rights to mount: no way to make .git/objects read-only here")
    try:
        done = repo.relay(*SHELL, "--session", "s", "true")
    finally:
        subprocess.run(["umount", objects], check=True, timeout=20)
    assert done.code == 4 and "Read-only file system" in done.err and done.err.count("\n") == 1
    assert refs(repo) == before
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0


def test_a_full_disk_keeps_what_was_recorded_and_the_next_call_works(repo: Repo, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = "size=1m"
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], capture_output=True, timeout=20
        ).returncode
    )
    if not mounted:
        pytest.skip("no rights to mount a small tmpfs: no way to fill a disk here")
    try:
        small = Repo(disk, repo.env)
        small.sh("git init -q --template=; git commit -q --allow-empty -m first")
        assert small.relay(*SHELL, "--session", "s", "echo kept").code == 0
        small.sh("head -c 5000000 /dev/zero > filler 2>/dev/null || true")
        done = small.relay(*SHELL, "--session", "s", "true")
        assert done.code == 4 and "No space left on device" in done.err and done.err.count("\n") == 1, done.err
        assert len(small.subjects("s")) == 3
        small.sh("rm filler")
        assert small.relay(*SHELL, "--session", "s", "echo again").code == 0
        # the disk fills up while the peer works: the answer is kept and recorded by the next look
        done = small.relay(*SHELL, "--session", "s", "head -c 5000000 /dev/zero > filler 2>/dev/null; echo paid")
        small.sh("rm filler")
        # the space held in reserve may be enough to record it at once
        assert done.code == 0 or "has ended but cannot be recorded" in done.err, done.err
        late = small.relay("wait", "s/03", "--timeout", "20s")
        assert late.code == 0 and "paid" in late.out, late.err
        assert len(small.subjects("s")) == 7
        assert small.git("fsck", "--no-dangling") == ""
    finally:
        subprocess.run(["umount", "-l", disk], check=True, timeout=20)


def test_a_file_size_limit_is_one_line(repo: Repo) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    done = subprocess.run(
        [*GIT_RELAY, *SHELL, "--session", "s", "echo " + "long " * 100],
        cwd=repo.path,
        env=dict(repo.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        preexec_fn=limit,
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr
    assert "relay/" not in refs(repo)


def test_a_worktree_that_was_removed_by_hand(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    repo.sh("rm -rf .relay/s")
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    repo.git("worktree", "remove", "--force", ".relay/s")
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    repo.sh("rm -rf .relay")
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    assert sorted(p.name for p in (repo.path / ".relay/s").glob("*.md"))[-1] == "04.res.md"


@pytest.mark.parametrize("how", ["mv .relay/s ../moved", "git worktree move .relay/s ../moved"])
def test_a_worktree_that_was_moved_by_hand(repo: Repo, how: str) -> None:
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    repo.sh(how)
    done = repo.relay(*SHELL, "--session", "s", "true")
    if done.code == 6:  # git knows the new place: it is a person's worktree now, and named
        assert "moved" in done.err and "git worktree remove" in done.err
        repo.sh("git worktree remove --force ../moved")
        done = repo.relay(*SHELL, "--session", "s", "true")
    assert done.code == 0, done.err
    assert (repo.path / ".relay/s/02.res.md").exists()


def test_a_branch_that_a_person_has_checked_out(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    repo.sh("git worktree remove --force .relay/s; git worktree add -q ../mine relay/s; echo note > ../mine/note")
    done = repo.relay(*SHELL, "--session", "s", "true")
    assert done.code == 6 and "mine" in done.err and "git worktree remove" in done.err
    assert (repo.path.parent / "mine/note").read_text() == "note\n"
    assert len(repo.subjects("s")) == 3


def test_something_else_in_the_place_of_the_worktrees(repo: Repo, tmp_path: Path) -> None:
    (repo.path / ".relay").symlink_to(tmp_path)
    done = repo.relay(*SHELL, "true")
    assert done.code == 2 and ".relay" in done.err and "is not a folder" in done.err
    assert "relay/" not in refs(repo)
    (repo.path / ".relay").unlink()
    (repo.path / ".relay/s").mkdir(parents=True)
    (repo.path / ".relay/s/thesis.txt").write_text("mine")
    done = repo.relay(*SHELL, "--session", "s", "true")
    assert done.code == 2 and "thesis" not in done.err and "not a session's worktree" in done.err
    assert (repo.path / ".relay/s/thesis.txt").read_text() == "mine"
    assert "relay/" not in refs(repo)


def test_ctrl_c_while_waiting_cancels_and_records(repo: Repo) -> None:
    waiter = repo.start(*SHELL, "--session", "s", "echo begun; sleep 60")
    eventually(lambda: "begun" in repo.sh("cat .git/relay/calls/s/out.log 2>/dev/null || true"), 20)
    waiter.send_signal(signal.SIGINT)
    _, err = waiter.communicate(timeout=patient(30))
    assert waiter.returncode == 130
    assert b"recorded as cancelled" in err and b"Traceback" not in err
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Reason,valueonly)", "relay/s").strip() == "cancelled"


def test_an_unexpected_failure_names_a_log_file(repo: Repo, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import gitrelay.history.sessions\n"
        "def fail(*a, **k): raise ZeroDivisionError('boom')\n"
        "gitrelay.history.sessions.sessions = fail\n"
    )
    done = repo.relay("ls", env={"PYTHONPATH": str(broken), "TMPDIR": str(tmp_path)})
    assert done.code == 70 and done.err.count("\n") == 1 and "ZeroDivisionError: boom" in done.err
    log = Path(done.err.strip().rsplit(" ", 1)[1])
    assert "Traceback" in log.read_text() and "Python" in log.read_text()


def test_the_reader_of_a_pipe_goes_away(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--session", "s", "seq 1 100000").code == 0
    out = repo.sh(f"{sys.executable} -P -m gitrelay show s | head -n 1")
    assert out.startswith("==> ")


def test_a_full_disk_behind_stdout_is_one_line(repo: Repo) -> None:
    assert repo.relay(*SHELL, "--session", "s", "true").code == 0
    for words in ("-h", "log", "ls --json"):
        said = repo.sh(f"{sys.executable} -P -m gitrelay {words} 2>&1 >/dev/full || echo $?")
        assert said.startswith("git-relay: the output cannot be written: No space left"), said
        assert said.splitlines()[1:] == ["4"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_the_caller_may_have_closed_what_a_program_reads_and_writes(repo: Repo, closed: str) -> None:
    program = f"{sys.executable} -P -m gitrelay"
    asked = repo.sh(f"({program} req --from uma --to shell --session s 'echo hi') {closed}; echo $?")
    assert asked.splitlines()[-1] == "0", asked
    assert repo.sh(f"({program} show s --json) {closed}; echo $?").splitlines()[-1] == "0"
    assert "echo hi" in repo.relay("show", "s/01").out


def test_the_program_is_found_as_a_git_command(repo: Repo) -> None:
    assert (BIN / "git-relay").exists()
    assert "git-relay 0." in repo.sh("git relay --version")
