"""`git relay watch`: the lines on a pipe, the board on a terminal, and that neither costs or cancels anything."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.cells import cell_len

from gitrelay.calls.following import Following
from gitrelay.cli.screen.board import Board
from gitrelay.ledger.ledger import open_ledger
from support.repo import GIT_RELAY, Repo
from support.terminal import on_terminal
from support.waiting import eventually, patient

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (\S+)  (\S+)(?:  (.*))?")


# asks back, with a word that would move the cursor
ASKER = """\
prompt=$(cat)
of() { printf '%s\\n' "$prompt" | sed -n "s/^  $1: //p" | tail -n 1; }
printf -- '---\\nrelay: 4\\nre: %s\\nfrom: %s\\nto: %s\\n' "$(of re)" "$(of from)" "$(of to)"
printf 'status: error\\nverify: skip\\nreason: needs-input\\n---\\n\\nWhich \\033[2Jone?\\n\\n- this\\n- that\\n'
"""


class Watcher:
    """`git relay watch` on a pipe; `seen` is (where, kind, text) of every line so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.seen: list[tuple[str, str, str]] = []
        self.said = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = LINE.fullmatch(line.decode().rstrip("\n"))
            assert found is not None, line
            self.seen.append((found[1], found[2], found[3] or ""))
        assert self.process.stderr is not None
        self.said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()

    def sees(self, where: str, kind: str, text: str = "") -> bool:
        return eventually(lambda: any((w, k) == (where, kind) and text in t for w, k, t in self.seen), 30)

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        self._reader.join(30)
        return self.process.wait(30), self.said.decode()


@contextmanager
def watching(repo: Repo, *words: str) -> Iterator[Watcher]:
    watcher = Watcher(repo.start("watch", *words))
    try:
        yield watcher
    finally:
        if watcher.process.poll() is None:
            watcher.end(signal.SIGKILL)


def start(repo: Repo, session: str, *options: str) -> None:
    """A call that says one line, then waits for the file `../go`, then says another."""
    task = "echo begun; until [ -e ../go ]; do sleep 0.05; done; printf 'd\\033[2Jone\\n'"
    asked = ("req", "--from", "claude", "--to", "shell", "--session", session, "-d", *options, task)
    assert repo.relay(*asked).code == 0


def go(repo: Repo) -> None:
    (repo.path.parent / "go").touch()


def test_one_line_an_event(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "old", "-d", "exec sleep 600").code == 0
    with watching(repo) as all_, watching(repo, "old") as one:
        assert all_.sees("old/01", "running") and one.sees("old/01", "running")
        assert repo.relay("cancel", "old/01").code == 0
        start(repo, "s", "--check", "exit 1")
        assert all_.sees("s", "opened")
        assert all_.sees("s/01", "request", "claude -> shell: echo begun")
        assert all_.sees("s/01", "event", "begun")
        with watching(repo, "--plain") as late:
            assert late.sees("s/01", "running", "claude -> shell: begun")
        go(repo)
        assert all_.sees("s/01", "response", "shell -> claude: done, verify pass")
        assert all_.sees("s/01", "check", "fail (exit 1): exit 1")
        assert ("s/01", "event", "d [2Jone") in all_.seen
        kinds = [kind for where, kind, _ in all_.seen if where.startswith("s")]
        assert kinds == ["opened", "request", "event", "event", "response", "check"], all_.seen
        repo.relay("archive", "s")
        assert all_.sees("s", "archived")
        repo.relay("archive", "--restore", "s")
        assert all_.sees("s", "restored")
        repo.git("pack-refs", "--all")
        assert repo.relay("req", "--to", "shell", "--session", "old", "exit 3").code == 1
        for watcher in (all_, one):
            assert watcher.sees("old/02", "response", "done, verify fail")
        repo.sh("rm -rf .git/relay")  # it may be deleted at any time
        assert repo.relay("req", "--to", "shell", "--session", "old", "echo again").code == 0
        assert all_.sees("old/03", "response", "done, verify pass")
        repo.git("worktree", "remove", "--force", ".relay/old")
        repo.git("update-ref", "-d", "refs/heads/relay/old")
        assert all_.sees("old", "removed") and one.sees("old", "removed")
        assert {where.partition("/")[0] for where, _, _ in one.seen} == {"old"}
        assert all_.end() == (130, "") and one.end(signal.SIGTERM)[0] == -signal.SIGTERM
    turns = [(where, kind) for where, kind, _ in all_.seen if kind != "event"]
    assert len(turns) == len(set(turns)), "each thing once"


def test_what_runs_as_json_and_wrong_words(repo: Repo, tmp_path: Path) -> None:
    repo.sh("mkdir -p .git/relay/calls/odd; touch .git/relay/calls/stray .git/relay/calls/odd/call.json")
    assert repo.relay("watch", "--json").json["data"] == []
    start(repo, "s", "--timeout", "50s")
    try:
        assert eventually(lambda: repo.relay("watch", "--json").json["data"][0]["last_event"] == "begun")
        (row,) = repo.relay("watch", "--json").json["data"]
        assert row["address"] == "s/01" and 0 < row["wall_left_s"] <= 50 and row["idle_left_s"] is None
        assert repo.relay("watch", "--plain", "--timeout", "10ms").out.count("  running  ") == 1
    finally:
        go(repo)
    assert repo.relay("wait", "s/01").code == 0
    for words, said in ((("nosuch",), "no session 'nosuch'"), (("No!",), "not a slug"), (("--timeout", "x"), "'x'")):
        done = repo.relay("watch", *words)
        assert done.code == 2 and said in done.err and done.out == ""
    assert "not in a git repository" in repo.relay("watch", cwd=tmp_path).err
    # a reader that goes away is no error
    reader = f"{' '.join(GIT_RELAY)} watch --timeout 30s | head -n 1"
    with watching(repo) as other:
        pipe = subprocess.Popen(
            ["sh", "-c", reader],
            cwd=repo.path,
            env=dict(repo.env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert repo.relay("req", "--to", "shell", "--session", "t", "-d", "exec sleep 600").code == 0
        assert eventually(lambda: other.seen != [])
        assert repo.relay("cancel", "t/01").code == 0
        assert other.sees("t/01", "response")
        assert repo.relay("req", "--to", "shell", "--session", "t", "true").code == 0
        assert (pipe.communicate(timeout=patient(40))[1], pipe.returncode) == (b"", 0)


def test_the_board_follows_and_opens(repo: Repo) -> None:
    with on_terminal(repo, "watch", columns=100, rows=20) as empty:
        assert empty.shows("nothing has been asked yet")
        empty.type("\r\x1b[A")
        empty.type("q")
        assert empty.end() == 0 and empty.is_sane
    assert repo.relay("req", "--to", "shell", "--session", "older", "exit 1").code == 1
    assert repo.relay("req", "--to", "shell", "--session", "older", "echo second answer").code == 0
    with on_terminal(repo, "watch", columns=100, rows=20) as board:
        assert board.shows("> older")
        board.type("j")
        start(repo, "s", "--timeout", "40s", "--idle-timeout", "30s")
        assert board.shows(lambda text: re.search(r"s/01 +claude -> shell +\S+ +\d\ds +\d\ds +begun", text) is not None)
        assert "1 running, 2 sessions" in board.text
        assert "> older" in board.text, "the mark stays where it was"
        board.type("k")
        assert board.shows("> s/01")
        board.type("\r")
        assert board.shows(lambda text: "request s/01" in text and "running for" in text and "begun" in text)
        board.resize(60, 15)
        assert board.shows(lambda text: "running for" in text and all(cell_len(x) <= 60 for x in text.splitlines()))
        go(repo)
        assert board.shows(lambda text: "response s/01" in text and " pass" in text), (
            "the answer comes while it is open"
        )
        board.type("\x1b")
        assert board.shows(lambda text: "> s" in text and "0 running" in text)
        board.type("G\r")
        assert board.shows("second answer")
        board.type("\x1b[D")
        assert board.shows(lambda text: "request older/01" in text and "fail" in text)
        board.type("\x1b[D\x1b[C")
        assert board.shows("request older/02")
        assert repo.relay("archive", "older").code == 0
        board.type("\x7f")
        assert board.shows("(archived)")
        commit = "git commit-tree -p $parent -m 'req 01 a -> b: x' $(git mktree </dev/null)"
        repo.sh(f"""
            parent=$(git commit-tree -m 'open broken' $(git mktree </dev/null))
            git update-ref refs/heads/relay/broken $({commit})
            rm -f .git/objects/$(echo $parent | sed 's,^..,&/,')
        """)
        assert board.shows("broken: "), "a damaged session is told of, and does not hide the others"
        assert repo.relay("watch", "--plain", "--timeout", "10ms").code == 0
        repo.sh("rm -rf .git/relay")
        repo.git("update-ref", "-d", "refs/heads/relay/broken")
        assert board.shows(lambda text: "broken" not in text)
        repo.git("update-ref", "-d", "refs/relay/archive/older")
        assert board.shows(lambda text: "older" not in text and "1 sessions" in text)
        board.type("\x0cjjkk\x1b[5~\x1b[6~\x1b[99~\x1b[<0;1;1M?xyz\xe4")
        board.type("q")
        assert board.end() == 0 and board.is_sane
    assert "\x1b[2Jone" not in board.raw.decode(), "nothing that the peer printed acts"
    assert board.raw.endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l")


def test_questions_come_first(repo: Repo) -> None:
    program = repo.path.parent / "asker.sh"
    program.write_text(ASKER)
    repo.git("config", "relay.asker.command", f"sh {program}")
    assert repo.relay("req", "--to", "asker", "--session", "q", "Move it.").code == 3
    assert repo.relay("req", "--to", "shell", "--session", "later", "true").code == 0
    first, *_ = repo.relay("watch", "--plain", "--timeout", "10ms").out.splitlines()
    assert first.endswith("  q/01  question  asker: Which [2Jone? [1: this] [2: that]")
    following = Following(open_ledger(repo.path))
    board = Board(following, "watch", colours=False)
    lines = board.lines(100, 20, time.time())
    assert "1 question, 0 running, 2 sessions" in lines[0] and lines[2].startswith("  WAITS")
    assert re.match(r"> q/01 +asker +\S+ +Which .*one\?$", lines[3]), lines
    assert lines[5].startswith("  SESSION") and lines[6].startswith("  later") and "git relay answer" in lines[-1]
    assert not any(line.startswith("  q ") for line in lines), "each session once"
    assert repo.relay("req", "--to", "asker", "--session", "r", "Move it.").code == 3
    assert [(e.where, e.kind) for e in following.look()][-2:] == [("r/01", "response"), ("r/01", "question")]
    board.press("down")
    assert board.press("enter") and any("Which" in line for line in board.lines(100, 20, time.time()))
    for n in range(2):  # answered or closed, they are gone
        assert repo.relay("archive", "qr"[n]).code == 0
    following.look()
    board.press("escape")
    assert "question" not in board.lines(100, 20, time.time())[0] and following.questions() == []


def test_leaving_cancels_nothing_and_leaves_a_sane_terminal(repo: Repo) -> None:
    start(repo, "s")
    with on_terminal(repo, "watch", "s") as board:
        assert board.shows("> s/01")
        board.type("\x03")
        assert board.end() == 130 and board.is_sane and b"Traceback" not in board.raw
    with on_terminal(repo, "watch") as board:
        assert board.shows("> s/01")
        os.kill(board.process.pid, signal.SIGTERM)
        assert board.end() == 128 + signal.SIGTERM and board.is_sane
    shell = ("bash", "--noprofile", "--norc", "-i")
    with on_terminal(repo, program=shell, env={"PS1": "ready> "}) as board:
        assert board.shows("ready>")
        board.type(" ".join(GIT_RELAY) + " watch\r")
        assert board.shows("> s/01")
        board.type("\x1a")
        assert board.shows("Stopped"), "Ctrl-Z gives the shell its terminal"
        board.type("echo $((6 * 7))\r")
        assert board.shows("\n42")
        board.type("fg\r")
        assert board.shows("> s/01")
        board.type("q")
        assert board.shows(lambda text: text.endswith("ready>"))
        board.type("exit\r")
        assert board.end() == 0
    assert [row["address"] for row in repo.relay("status", "--json").json["data"]] == ["s/01"]
    go(repo)
    assert repo.relay("wait", "s/01").code == 0
    dumb = repo.start("watch", "--timeout", "10ms", env={"TERM": "dumb"})
    assert dumb.communicate(timeout=patient(30)) == (b"", b"") and dumb.returncode == 0


def children(pid: int) -> int:
    """What the ended children of a process have done so far: their page faults, which every child has."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8])


def test_thousands_of_sessions_and_no_git_while_nothing_happens(repo: Repo) -> None:
    lines = [
        f"commit refs/heads/relay/s-{n:04d}\ncommitter U <u@example.invalid> {1790000000 + n} +0000\n"
        f"data <<END\nreq 01 claude -> codex: task {n}\n\nRelay-Id: 01\nRelay-From: claude\nRelay-To: codex\nEND\n"
        for n in range(3000)
    ]
    history = "\n".join(lines).encode()
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.path, env=dict(repo.env), input=history, check=True)
    with on_terminal(repo, "watch", rows=30) as board:
        assert board.shows("> s-2999")
        board.type("G")
        assert board.shows("> s-0000")
        board.type("\x1b[5~" * 3)
        assert board.shows(lambda text: "> s-007" in text)
        assert board.shows(lambda text: "3000 sessions" in text)
        if Path("/proc/self/stat").exists():
            pid, before = board.process.pid, -1

            def quiet() -> bool:
                """Two looks without a child; the first are for stamps that are too young to be trusted."""
                nonlocal before
                board.read(2.5)
                last, before = before, children(pid)
                return last == before

            assert eventually(quiet, 30)
        assert repo.relay("req", "--to", "shell", "--session", "new", "true").code == 0
        assert board.shows("3001 sessions")

        def at_the_top() -> bool:
            board.type("g")  # again, if the board had read a session that was only opened
            return board.shows("> new", 1)

        assert eventually(at_the_top)
        board.type("q")
        assert board.end() == 0


def test_no_key_and_no_size_breaks_the_board(repo: Repo) -> None:
    for session in ("one", "two", "20261124-0800-three"):
        for task in ("exit 1", "echo '# heading'; seq 100", "true"):
            assert repo.relay("req", "--to", "shell", "--session", session, task).code in (0, 1)
    start(repo, "running", "--timeout", "50s")
    seed = int(os.environ.get("GITRELAY_TEST_SEED", "20261124"))
    names = [
        "up",
        "down",
        "left",
        "right",
        "page-up",
        "page-down",
        "home",
        "end",
        "enter",
        "escape",
        "g",
        "G",
        " ",
        "x",
    ]
    try:
        for followed in (None, "one"):
            dice = random.Random(f"{seed} {followed}")
            following = Following(open_ledger(repo.path), followed)
            board = Board(following, "title", colours=False)
            for step in range(120):
                assert board.press(dice.choice(names))
                width, height = dice.choice([(80, 24), (20, 4), (33, 7), (200, 60)])
                lines = board.lines(width, height, time.time())
                assert len(lines) == height, (seed, step)
                assert all(cell_len(line) <= width for line in lines), (seed, step, lines)
                if step % 30 == 0:
                    following.look()
                    assert following.fault == ""
    finally:
        go(repo)
        assert repo.relay("wait", "running/01").code == 0
