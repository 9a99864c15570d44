"""Whatever a peer does, the branch stays what gitrelay wrote, the end is typed, and nothing is left running.

Each mode of `support/fake_peer.py` is one way to go wrong. A test plays it as the second turn of a session whose
first turn went well. It then asks a third: after each tampering and each death of a supervisor, after one mode of
each other test (ON), and after every mode under GITRELAY_SOAK=1.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from support.fake_peer import SECRET
from support.places import FAKE_PEER
from support.repo import Done, Repo
from support.soak import SOAK
from support.waiting import eventually, processes_with

# after these the session is asked once more; the others end in the same way as one of them
ON = {"orphan-comes-back", "killed-by-signal", "reply-is-symlink", "reply-is-directory", "ignores-sigterm"}
LOG_LIMIT = 4_500_000  # bytes: 4 MiB of head, 256 KiB of tail, a line between them


@pytest.fixture
def env(env: dict[str, str], mark: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return env | mark | {"FAKE_PEER_SAW": str(tmp_path / "saw")}


@dataclass(frozen=True)
class Fake:
    """A repository with the peer `fake`, and a session whose first turn went well."""

    repo: Repo
    folder: Path

    def becomes(self, mode: str, peer: str = "fake") -> None:
        """`claude` and `codex` are programs on PATH, `fake` is configured."""
        if peer == "fake":
            self.repo.git("config", "relay.fake.command", shlex.join([sys.executable, "-P", str(FAKE_PEER), mode]))
            self.repo.git("config", "relay.fake.plain", "true")  # most modes chatter
            return
        script = self.folder / "bin" / peer
        script.parent.mkdir(exist_ok=True)
        script.unlink(missing_ok=True)
        script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-P", str(FAKE_PEER), mode])} "$@"\n')
        script.chmod(0o755)

    @property
    def supervisors(self) -> list[psutil.Process]:
        name = "GITRELAY_TEST_MARK"
        found = []
        for process in processes_with(name, self.repo.env[name]):
            with contextlib.suppress(psutil.Error):
                if "gitrelay.supervisor" in process.cmdline():
                    found.append(process)
        return found

    @property
    def path(self) -> dict[str, str]:
        return {"PATH": os.pathsep.join([str(self.folder / "bin"), self.repo.env["PATH"]])}

    def ask(self, mode: str, *options: str, peer: str = "fake") -> Done:
        self.becomes(mode, peer)
        words = ["--from", "uma", "--to", peer, "--session", "s"]
        return self.repo.relay("req", *words, *options, "Do it.", env=self.path)

    def trailers(self, rev: str = "relay/s") -> dict[str, str]:
        text = self.repo.git("log", "-1", "--format=%(trailers:only,unfold)", rev, "--")
        return dict(line.split(": ", 1) for line in text.splitlines())

    @property
    def message(self) -> str:
        return self.repo.git("log", "-1", "--format=%B", "relay/s", "--")

    @property
    def aside(self) -> list[str]:
        """What is kept aside, by its path in its own folder, with the response's word that says so checked."""
        root = self.repo.path / ".git/relay/aside/s"
        found = []
        for folder in sorted(root.iterdir()) if root.exists() else []:
            for kept in folder.iterdir():
                assert str(kept) in self.message, "kept aside, and not mentioned"
                found.append(kept.name)
        return sorted(found)

    def check_branch(self, session: str = "s") -> None:
        """Linear from a root of the empty tree; one file added by each commit, nothing else touched."""
        commits = self.repo.git("rev-list", "--reverse", "--parents", f"refs/heads/relay/{session}").splitlines()
        assert commits[0].split()[1:] == []
        assert self.repo.git("ls-tree", commits[0]) == ""
        for line in commits[1:]:
            commit, *parents = line.split()
            assert len(parents) == 1
            change = self.repo.git("diff-tree", "-r", "--no-commit-id", commit).splitlines()
            assert len(change) == 1 and change[0].startswith(":000000 100644 "), change
            assert change[0].split()[4] == "A"
        self.repo.git("fsck", "--strict", "--no-dangling")

    def check_user(self, head: str) -> None:
        """Nothing of the user's own has changed: branch, index, files, configuration of the checkout."""
        assert self.repo.git("rev-parse", "refs/heads/main") == head
        assert self.repo.git("symbolic-ref", "HEAD") == "refs/heads/main"
        assert self.repo.git("status", "--porcelain") == ""

    def check_worktree(self) -> None:
        worktree = self.repo.path / ".relay/s"
        names = self.repo.git("ls-tree", "--name-only", "relay/s").splitlines()
        assert sorted(p.name for p in worktree.iterdir()) == sorted([".git", *names])
        assert self.repo.git("-C", str(worktree), "status", "--porcelain", "--ignored") == ""
        assert self.repo.git("-C", str(worktree), "symbolic-ref", "HEAD") == "refs/heads/relay/s"

    def check_logs(self) -> None:
        for log in (self.repo.path / ".git/relay/logs").iterdir():
            assert log.stat().st_size <= LOG_LIMIT, log
        assert not list((self.repo.path / ".git/relay/calls").iterdir())
        assert not list((self.repo.path / ".git/relay/locks").iterdir())

    def check_secret(self) -> None:
        everything = self.repo.sh("git cat-file --batch-all-objects --batch --buffer | grep -a -c SECRET- || true")
        assert everything.strip() == "0"


@pytest.fixture
def fake(answered: Repo, tmp_path: Path) -> Fake:
    return Fake(answered, tmp_path)


def play(fake: Fake, mode: str, *options: str, peer: str = "fake") -> Done:
    """Turn 02 in `mode`, then all that has to hold whatever happened, then a turn 03 that works."""
    head = fake.repo.git("rev-parse", "HEAD")
    done = fake.ask(mode, *options, peer=peer)
    said = f"{done.out[:3000]}\n{done.err[:3000]}"
    fake.check_branch()
    saw = (fake.folder / "saw").read_text().split()[-1]
    assert fake.repo.git("rev-parse", "relay/s~1") == saw, f"the request commit is not the one the peer saw\n{said}"
    assert fake.repo.git("show", "relay/s:02.res.md") + "\n" == done.out
    fake.check_user(head)
    fake.check_worktree()
    fake.check_secret()
    fake.check_logs()
    assert SECRET not in done.out
    return done


def play_on(fake: Fake) -> None:
    following = fake.ask("answer")
    assert following.code == 0, following.err
    assert fake.repo.subjects("s")[-1] == "res 03 fake -> uma: done, verify skip"
    fake.check_branch()
    fake.check_worktree()


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code", "status", "verify"),
    [
        ("answer", 0, "done", "skip"),
        ("answer-as-response", 1, "done", "fail"),
        ("reply-file", 0, "done", "pass"),
        ("reply-file-then-exit-3", 0, "done", "pass"),
        ("reply-says-error", 3, "error", "skip"),
        ("hang-on-stdin", 0, "done", "skip"),
        ("dribbles", 0, "done", "skip"),
        ("prints-200mb-on-stderr", 0, "done", "skip"),
        ("orphan", 0, "done", "skip"),
        ("orphan-ignores-sigterm", 0, "done", "skip"),
        ("orphan-comes-back", 0, "done", "skip"),
    ],
)
def test_a_peer_that_answers(fake: Fake, mode: str, code: int, status: str, verify: str) -> None:
    done = play(fake, mode)
    trailers = fake.trailers()
    assert done.code == code, done.err
    assert (trailers["Relay-Status"], trailers["Relay-Verify"]) == (status, verify)
    assert trailers["Relay-Recorded"] == "peer"
    assert fake.aside == []
    if mode in ON or SOAK:
        play_on(fake)


@pytest.mark.parametrize(
    ("mode", "reason", "words"),
    [
        ("silent-success", "no-output", "exit code 0 and gave no answer"),
        ("blank-success", "no-output", "exit code 0 and gave no answer"),
        ("answer-then-exit-3", "peer-failed", "exit code 3"),
        ("killed-by-signal", "peer-failed", "signal 9"),
        ("not-logged-in", "auth", "Please run /login"),
        ("rate-limited", "quota", "Rate limit reached"),
        ("prints-200mb", "bad-output", "209715200 bytes"),
        ("answer-of-invalid-utf8", "bad-output", "byte 0xe9"),
        ("answer-for-somebody-else", "bad-output", "re is '77', expected '02'"),
    ],
)
def test_a_peer_that_gives_no_answer(fake: Fake, mode: str, reason: str, words: str) -> None:
    done = play(fake, mode)
    trailers = fake.trailers()
    assert done.code == 4
    assert (trailers["Relay-Status"], trailers["Relay-Verify"]) == ("error", "skip")
    assert (trailers["Relay-Reason"], trailers["Relay-Recorded"]) == (reason, "gitrelay")
    assert words in done.out
    assert fake.aside == []
    if mode in ON or SOAK:
        play_on(fake)


def test_what_a_failed_peer_said_is_kept(fake: Fake) -> None:
    done = play(fake, "answer-then-exit-3")
    assert "something broke" in done.out
    assert "The answer." in done.out


REPLIES = [
    ("reply-is-symlink", "a symbolic link"),
    ("reply-is-hard-link", "a hard link"),
    ("reply-is-fifo", "a FIFO"),
    ("reply-is-directory", "a directory"),
    ("reply-is-100mb", "bytes; a message has at most"),
    ("reply-is-invalid-utf8", "byte 0xe9"),
    ("reply-with-wrong-re", "re is '99', expected '02'"),
    ("reply-with-wrong-from", "from is 'somebody', expected 'fake'"),
    ("reply-with-wrong-to", "to is 'somebody', expected 'uma'"),
    ("reply-without-status", "front matter has no 'status'"),
    ("reply-with-alias-bomb", "anchors and aliases are not allowed"),
]
# what tests/protocol/test_message.py has too: here only under GITRELAY_SOAK=1
MALFORMED = [
    ("reply-has-nul", "a NUL byte"),
    ("reply-with-verify-maybe", "verify: 'maybe'; expected pass | fail | skip"),
    ("reply-with-unknown-protocol", "relay: '5'"),
    ("reply-with-reason-though-done", "only if status is error"),
    ("reply-without-body", "the body is empty"),
    ("reply-without-front-matter", "no front matter"),
]


@pytest.mark.parametrize(("mode", "words"), REPLIES + (MALFORMED if SOAK else []))
def test_a_reply_that_is_none(fake: Fake, mode: str, words: str) -> None:
    """It is not recorded, nor is the chatter on stdout taken for the answer in its place."""
    done = play(fake, mode)
    trailers = fake.trailers()
    assert done.code == 4
    assert (trailers["Relay-Status"], trailers["Relay-Verify"]) == ("error", "skip")
    assert (trailers["Relay-Reason"], trailers["Relay-Recorded"]) == ("bad-output", "gitrelay")
    assert words in done.out
    assert "I wrote the reply file." in done.out
    assert fake.aside == ["02.res.md"]
    if mode in ON or SOAK:
        play_on(fake)


def test_a_whole_response_on_stdout_beats_a_broken_reply_file(fake: Fake) -> None:
    done = play(fake, "says-done-over-a-wrong-reply")
    assert done.code == 0
    assert fake.trailers()["Relay-Verify"] == "pass"
    assert fake.aside == ["02.res.md"]


# -- the worktree and the branch -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "aside", "words"),
    [
        ("edits-earlier-turn", ["01.res.md"], "01.res.md had been changed and was put back"),
        ("links-earlier-turn", ["01.res.md"], "01.res.md had been changed and was put back"),
        ("deletes-earlier-turn", [], "01.res.md had been deleted and was put back"),
        ("edits-its-request", ["02.req.md"], "02.req.md had been changed and was put back"),
        ("pre-answers", ["03.res.md"], "'03.res.md' did not belong there"),
        ("leaves-junk", [".gitattributes", "build"], "'build' did not belong there"),
        ("stages-junk", ["junk.txt"], "'junk.txt' did not belong there"),
        ("deletes-worktree", [], "worktree had been deleted and was put back"),
        ("removes-worktree", [], "worktree had been deleted and was put back"),
        ("locks-and-deletes-worktree", [], "worktree had been deleted and was put back"),
        ("deletes-relay-folder", [], "worktree had been deleted and was put back"),
        ("deletes-state", [], ""),
        ("moves-worktree", [], "worktree had been deleted and was put back"),
        ("replaces-worktree-with-file", ["s"], "was replaced"),
        ("repoints-worktree", ["s"], "was replaced"),
        ("switches-branch", ["s"], "switched"),
        ("detaches-head", ["s"], "switched"),
        ("commits-on-branch", ["notes.md"], "the foreign commits are at refs/relay/aside/s/"),
        ("forges-a-response", ["02.req.md"], "the foreign commits are at refs/relay/aside/s/"),
        ("deletes-branch", [], "branch relay/s had been deleted and was put back"),
        ("rewrites-branch", [], "the foreign commits are at refs/relay/aside/s/"),
        ("resets-branch", [], "02.req.md had been deleted and was put back"),
        ("makes-branch-a-symref", [], "was put back"),
    ],
)
def test_a_peer_that_tampers(fake: Fake, mode: str, aside: list[str], words: str) -> None:
    """Its answer is recorded all the same; what it did is undone, kept and told."""
    done = play(fake, mode)
    assert done.code == 0, done.err
    assert fake.trailers()["Relay-Recorded"] == "peer"
    assert words in fake.message
    assert fake.aside == aside
    play_on(fake)


def test_a_symlink_in_place_of_the_worktree_is_not_followed(fake: Fake) -> None:
    """Whether the peer wrote a reply can then not be told, so its chatter is not taken for one."""
    done = play(fake, "replaces-worktree-with-symlink")
    assert done.code == 4
    assert fake.trailers()["Relay-Reason"] == "bad-output"
    assert "replaced by a symbolic link" in done.out
    assert fake.aside == ["s"]
    other = fake.folder / "other"
    assert sorted(p.name for p in other.iterdir()) == [".git", "02.res.md"]
    assert (other / ".git").read_text() == "gitdir: somewhere\n"
    play_on(fake)


def test_foreign_commits_stay_readable(fake: Fake) -> None:
    play(fake, "commits-on-branch")
    kept = fake.repo.git("for-each-ref", "--format=%(contents:subject)", "refs/relay/aside/s/")
    assert kept == "my own commit"


def test_a_peer_that_records_its_answer_itself(fake: Fake) -> None:
    done = play(fake, "runs-git-relay-res")
    assert done.code == 0, done.err
    assert "My own record." in done.out
    assert (fake.trailers()["Relay-Recorded"], fake.trailers()["Relay-Verify"]) == ("peer", "pass")
    play_on(fake)


# -- limits and ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "option", "code", "reason"),
    [
        ("hang-silently", "--timeout=1s", 5, "timeout"),
        ("hang-silently", "--idle-timeout=1s", 5, "idle"),
        ("hang-silently", "--first-output=1s", 4, "no-output"),
        ("says-then-hangs", "--timeout=2s", 5, "timeout"),
        ("says-then-hangs", "--idle-timeout=1s", 5, "idle"),
        ("ignores-sigterm", "--timeout=1s", 5, "timeout"),
        ("dribbles", "--timeout=1s", 5, "timeout"),
    ],
)
def test_limits(fake: Fake, mode: str, option: str, code: int, reason: str) -> None:
    done = play(fake, mode, option)
    trailers = fake.trailers()
    assert done.code == code
    assert (trailers["Relay-Reason"], trailers["Relay-Recorded"]) == (reason, "gitrelay")
    assert "limit of" in done.out
    if mode in ON or SOAK:
        play_on(fake)


@pytest.mark.parametrize("option", ["--idle-timeout=2s", "--first-output=2s"])
def test_output_keeps_the_limits_of_silence_away(fake: Fake, option: str) -> None:
    """The peer takes three seconds, and says something all the time."""
    done = play(fake, "dribbles", option)
    assert done.code == 0, done.out
    assert "step 14" in done.out


def test_a_reply_that_was_written_before_a_limit_counts(fake: Fake) -> None:
    done = play(fake, "reply-file-then-hang", "--timeout=2s")
    assert done.code == 0
    assert fake.trailers()["Relay-Recorded"] == "peer"


@pytest.mark.parametrize("mode", ["hang-silently", "ignores-sigterm", "reply-file-then-hang"])
def test_cancel(fake: Fake, mode: str) -> None:
    detached = fake.ask(mode, "--detach")
    assert (detached.code, detached.out) == (0, "s/02\n")
    assert eventually((fake.folder / "saw").exists)
    if mode == "reply-file-then-hang":
        assert eventually((fake.repo.path / ".relay/s/02.res.md").exists)
    done = fake.repo.relay("cancel", "s/02")
    assert (done.code, done.out) == (0, "s/02: cancelled\n")
    trailers = fake.trailers()
    assert (trailers["Relay-Reason"], trailers["Relay-Recorded"]) == ("cancelled", "gitrelay")
    assert fake.repo.relay("wait", "s/02").code == 4
    fake.check_branch()
    fake.check_worktree()
    fake.check_logs()
    if mode in ON or SOAK:
        play_on(fake)


@pytest.mark.parametrize(
    ("mode", "code", "reason"),
    [("kills-its-supervisor", 4, "lost"), ("answers-and-kills-its-supervisor", 0, None)],
)
def test_a_peer_that_kills_its_supervisor(fake: Fake, mode: str, code: int, reason: str | None) -> None:
    done = play(fake, mode)
    assert done.code == code
    assert fake.trailers().get("Relay-Reason") == reason
    play_on(fake)


@pytest.mark.parametrize("mode", ["prints-200mb", "reply-is-100mb", "prints-200mb-on-stderr"])
def test_memory_of_the_supervisor_is_bounded(fake: Fake, mode: str) -> None:
    detached = fake.ask(mode, "--detach")
    assert detached.code == 0
    most = 0
    deadline = time.monotonic() + 60
    while (supervisors := fake.supervisors) and time.monotonic() < deadline:
        for process in supervisors:
            with contextlib.suppress(psutil.Error):
                most = max(most, process.memory_info().rss)
    assert most < 150 * 1024 * 1024  # python, GitPython and psutil are 45 MiB of it
    assert fake.repo.relay("wait", "s/02").code == (0 if mode == "prints-200mb-on-stderr" else 4)


def test_a_supervisor_that_is_told_to_end_records_it(fake: Fake) -> None:
    assert fake.ask("hang-silently", "--detach").code == 0
    assert eventually((fake.folder / "saw").exists)
    for process in fake.supervisors:
        process.send_signal(signal.SIGTERM)
    assert fake.repo.relay("wait", "s/02").code == 4
    assert fake.trailers()["Relay-Reason"] == "cancelled"


# -- claude and codex, by their events -------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "code", "reason"),
    [
        ("claude-good", 0, None),
        ("claude-huge-line", 0, None),
        ("claude-garbage-lines", 0, None),
        ("claude-no-last-newline", 0, None),
        ("claude-is-error-with-exit-0", 4, "peer-failed"),
        ("claude-overloaded", 4, "peer-failed"),
        ("claude-no-terminal-event", 4, "bad-output"),
        ("claude-empty-result", 4, "no-output"),
        ("claude-no-turns", 4, "no-output"),
        ("claude-says-nothing", 4, "no-output"),
        ("claude-wrong-value", 4, "bad-output"),
        ("claude-answer-with-exit-1", 0, None),
        ("codex-good", 0, None),
        ("codex-huge-line", 0, None),
        ("codex-garbage-lines", 0, None),
        ("codex-no-last-newline", 0, None),
        ("codex-warns", 0, None),
        ("codex-recovers", 0, None),
        ("codex-turn-failed-with-exit-0", 4, "peer-failed"),
        ("codex-no-agent-message", 4, "no-output"),
        ("codex-no-terminal-event", 4, "bad-output"),
        ("codex-empty-message", 4, "no-output"),
        ("codex-wrong-value", 4, "bad-output"),
        ("codex-says-nothing", 4, "no-output"),
    ],
)
def test_events(fake: Fake, mode: str, code: int, reason: str | None) -> None:
    peer = mode.partition("-")[0]
    done = play(fake, mode, peer=peer)
    trailers = fake.trailers()
    assert done.code == code, done.out
    assert trailers.get("Relay-Reason") == reason
    assert trailers["Relay-Recorded"] == ("gitrelay" if reason else "peer")
    assert trailers["Relay-Peer"] == f"{peer} {'2.1.329' if peer == 'claude' else '0.169.0'}"
    if reason is None:
        assert trailers["Relay-Verify"] == "pass"
        assert "The answer." in done.out
        total = 15 if peer == "claude" else 10  # claude's own input is without what a cache gave back
        assert trailers["Relay-Usage"].startswith(f"input={total} cached=5 output=3")
        assert trailers["Relay-Peer-Session"] == "c-1" if peer == "claude" else "t-1"


@pytest.mark.parametrize("peer", ["claude", "codex"])
def test_an_answer_counts_though_the_peer_never_ends(fake: Fake, peer: str) -> None:
    done = play(fake, f"{peer}-answers-then-hangs", "--timeout=2s", peer=peer)
    assert done.code == 0
    assert fake.trailers()["Relay-Recorded"] == "peer"


@pytest.mark.parametrize("peer", ["claude", "codex"])
def test_a_peer_that_lingers_after_its_answer_is_ended(fake: Fake, peer: str) -> None:
    done = play(fake, f"{peer}-answers-then-hangs", peer=peer)
    assert done.code == 0
    assert fake.trailers()["Relay-Recorded"] == "peer"
    assert "it did not end within 5 s after its answer, and was ended" in fake.message


@pytest.mark.parametrize("peer", ["claude", "codex"])
def test_cancelled_after_its_answer_the_answer_is_recorded(fake: Fake, peer: str) -> None:
    assert fake.ask(f"{peer}-answers-then-hangs", "--detach", peer=peer).code == 0
    log = fake.repo.path / ".git/relay/calls/s/out.log"
    assert eventually(lambda: b"The answer." in log.read_bytes() if log.exists() else False)
    fake.repo.relay("cancel", "s/02")
    done = fake.repo.relay("wait", "s/02")
    assert done.code == 0 and "The answer." in done.out
    assert fake.trailers()["Relay-Recorded"] == "peer"
    fake.check_branch()
    fake.check_worktree()


def test_refused_tool_calls_are_recorded_and_shown(fake: Fake) -> None:
    done = play(fake, "claude-was-refused-tools", peer="claude")
    assert done.code == 0 and "2 tool calls of claude were refused" in done.err
    assert fake.trailers()["Relay-Denied"] == "2"
    assert "2 tool calls of claude were refused: Bash, WebFetch" in fake.message
    assert fake.repo.relay("show", "s/02", "--json").json["data"][0]["denied"] == 2
    assert fake.repo.relay("show", "s/01", "--json").json["data"][0]["denied"] == 0
    assert fake.repo.relay("fsck").code == 0


def test_a_limit_that_is_told_as_a_success_is_none(fake: Fake) -> None:
    done = play(fake, "claude-limit", peer="claude")
    assert done.code == 4 and "resets 1am (UTC)" in done.out
    assert fake.trailers()["Relay-Reason"] == "quota"


def test_reconnecting_is_no_output(fake: Fake) -> None:
    """codex goes on for ever about a network that is not there."""
    done = play(fake, "codex-reconnects-for-ever", "--first-output=1s", peer="codex")
    assert done.code == 4
    assert fake.trailers()["Relay-Reason"] == "no-output"
