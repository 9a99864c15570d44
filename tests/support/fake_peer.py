"""A peer that goes wrong in every way we know, each under a name: `python fake_peer.py MODE [--version]`.

Configure it with `git config relay.fake.command "python .../fake_peer.py MODE"`. The prompt comes on stdin;
the reply path is in its Reply line. The modes that begin with `claude-` and `codex-` play those programs and
print their JSON lines. Standard library only, so that it starts anywhere.

Every mode first appends the commit of the session's branch, as it found it, to the file FAKE_PEER_SAW.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = "SECRET-that-must-never-be-recorded"
_FOREVER = 600.0  # seconds; whoever is still there then was forgotten


@dataclass(frozen=True)
class Asked:
    """The request as the prompt says it. `reply` and `worktree` are relative to the working directory."""

    id: str
    from_: str
    to: str
    reply: Path
    prompt: str = ""

    @property
    def worktree(self) -> Path:
        return self.reply.parent

    @property
    def session(self) -> str:
        return self.worktree.name

    @property
    def branch(self) -> str:
        return f"refs/heads/relay/{self.session}"

    def response(self, body: str = "The answer.", **changed: str | None) -> str:
        """A valid response file; `changed` replaces fields of its front matter, None leaves one out."""
        fields: dict[str, str | None] = {
            "relay": "4",
            "re": self.id,
            "from": self.to,
            "to": self.from_,
            "status": "done",
            "verify": "pass",
        }
        head = "".join(f"{k}: {v}\n" for k, v in (fields | changed).items() if v is not None)
        return f"---\n{head}---\n\n{body}\n"


Mode = Callable[[Asked], int | None]
MODES: dict[str, Mode] = {}


def mode(play: Mode) -> Mode:
    MODES[play.__name__.replace("_", "-")] = play
    return play


def say(text: str) -> None:
    print(text, flush=True)


def git(*args: str, folder: Path | str = ".") -> str:
    settings = ("-c", "user.name=Fake", "-c", "user.email=fake@example.invalid")
    done = subprocess.run(["git", "-C", str(folder), *settings, *args], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def secret_file() -> Path:
    path = Path(os.environ["FAKE_PEER_SAW"]).with_name("secret.txt")
    path.write_text(SECRET + "\n")
    return path


def hang() -> None:
    time.sleep(_FOREVER)


# -- answers ---------------------------------------------------------------------------------------


@mode
def answer(asked: Asked) -> None:
    say("The answer.")


@mode
def answer_as_response(asked: Asked) -> None:
    print(asked.response(verify="fail"), end="")


@mode
def answer_for_somebody_else(asked: Asked) -> None:
    print(asked.response(re="77"), end="")


@mode
def answer_of_invalid_utf8(asked: Asked) -> None:
    sys.stdout.buffer.write(b"caf\xe9\n")


@mode
def reply_file(asked: Asked) -> None:
    asked.reply.write_text(asked.response())
    say("I wrote the reply file.")


@mode
def reply_file_then_exit_3(asked: Asked) -> int:
    asked.reply.write_text(asked.response())
    return 3


@mode
def reply_file_then_hang(asked: Asked) -> None:
    asked.reply.write_text(asked.response())
    hang()


@mode
def reply_says_error(asked: Asked) -> None:
    asked.reply.write_text(asked.response(status="error", verify="skip", reason="needs-input"))


@mode
def silent_success(asked: Asked) -> None:
    pass


@mode
def blank_success(asked: Asked) -> None:
    say("  \n\n")


@mode
def answer_then_exit_3(asked: Asked) -> int:
    say("The answer.")
    print("something broke", file=sys.stderr)
    return 3


@mode
def killed_by_signal(asked: Asked) -> None:
    say("The answer.")
    os.kill(os.getpid(), signal.SIGKILL)


@mode
def not_logged_in(asked: Asked) -> int:
    print("Error: Not logged in. Please run /login", file=sys.stderr)
    return 1


@mode
def rate_limited(asked: Asked) -> int:
    print("HTTP 429: Rate limit reached", file=sys.stderr)
    return 1


@mode
def prints_200mb(asked: Asked) -> None:
    block = b"x" * 1023 + b"\n"
    for _ in range(200 * 1024):
        sys.stdout.buffer.write(block)


@mode
def prints_200mb_on_stderr(asked: Asked) -> None:
    block = b"x" * 1023 + b"\n"
    for _ in range(200 * 1024):
        sys.stderr.buffer.write(block)
    say("The answer.")


# -- processes -------------------------------------------------------------------------------------


@mode
def hang_on_stdin(asked: Asked) -> None:
    """The prompt has been read; more never comes, so this ends only because stdin was closed."""
    sys.stdin.buffer.read()
    say("The answer.")


@mode
def hang_silently(asked: Asked) -> None:
    hang()


@mode
def says_then_hangs(asked: Asked) -> None:
    say("I begin.")
    hang()


@mode
def dribbles(asked: Asked) -> None:
    """Something every 0.2 seconds, for 3 seconds."""
    for i in range(15):
        say(f"step {i}")
        time.sleep(0.2)


@mode
def ignores_sigterm(asked: Asked) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("I stay.")
    hang()


def _child(play: Callable[[], None]) -> None:
    """A grandchild in a session of its own, with every pipe of ours."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            play()
        os._exit(0)
    os.wait()


@mode
def orphan(asked: Asked) -> None:
    _child(hang)
    say("The answer.")


@mode
def orphan_ignores_sigterm(asked: Asked) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _child(hang)
    say("The answer.")


@mode
def orphan_comes_back(asked: Asked) -> None:
    """Whoever of them gets SIGTERM starts another one, which gets none."""

    def again(*_: object) -> None:
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            hang()
        os._exit(0)

    signal.signal(signal.SIGTERM, again)
    _child(hang)
    say("The answer.")


@mode
def kills_its_supervisor(asked: Asked) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    hang()


@mode
def answers_and_kills_its_supervisor(asked: Asked) -> None:
    asked.reply.write_text(asked.response())
    os.kill(os.getppid(), signal.SIGKILL)
    hang()


# -- what stands where the reply belongs -----------------------------------------------------------


@mode
def reply_is_symlink(asked: Asked) -> None:
    secret = secret_file()
    secret.write_text(asked.response(SECRET))
    asked.reply.symlink_to(secret)
    say("I wrote the reply file.")


@mode
def reply_is_hard_link(asked: Asked) -> None:
    secret = secret_file()
    secret.write_text(asked.response(SECRET))
    asked.reply.hardlink_to(secret)
    say("I wrote the reply file.")


@mode
def reply_is_fifo(asked: Asked) -> None:
    os.mkfifo(asked.reply)
    say("I wrote the reply file.")


@mode
def reply_is_directory(asked: Asked) -> None:
    asked.reply.mkdir()
    (asked.reply / "inside.md").write_text(asked.response())
    say("I wrote the reply file.")


@mode
def reply_is_100mb(asked: Asked) -> None:
    with asked.reply.open("w") as f:
        f.write(asked.response())
        for _ in range(100):
            f.write("x" * (1024 * 1024))
    say("I wrote the reply file.")


@mode
def reply_is_invalid_utf8(asked: Asked) -> None:
    asked.reply.write_bytes(asked.response().encode() + b"caf\xe9\n")
    say("I wrote the reply file.")


@mode
def reply_has_nul(asked: Asked) -> None:
    asked.reply.write_text(asked.response("a\0b"))
    say("I wrote the reply file.")


def _bad_reply(name: str, body: str = "The answer.", **changed: str | None) -> None:
    def play(asked: Asked) -> None:
        asked.reply.write_text(asked.response(body, **changed))
        say("I wrote the reply file.")

    MODES[name] = play


_bad_reply("reply-with-wrong-re", re="99")
_bad_reply("reply-with-wrong-from", **{"from": "somebody"})
_bad_reply("reply-with-wrong-to", to="somebody")
_bad_reply("reply-without-status", status=None)
_bad_reply("reply-with-verify-maybe", verify="maybe")
_bad_reply("reply-with-unknown-protocol", relay="5")
_bad_reply("reply-with-reason-though-done", reason="timeout")
_bad_reply("reply-without-body", body="")


@mode
def reply_without_front_matter(asked: Asked) -> None:
    asked.reply.write_text("I did it.\n")
    say("I wrote the reply file.")


@mode
def reply_with_alias_bomb(asked: Asked) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    asked.reply.write_text(asked.response().replace("relay: 4\n", f"relay: 4\n{bomb}", 1))
    say("I wrote the reply file.")


@mode
def says_done_over_a_wrong_reply(asked: Asked) -> None:
    """A response on stdout says status and verify itself; the broken file beside it is only reported."""
    asked.reply.write_text("---\nrelay: 4\n")
    print(asked.response(), end="")


# -- what is done to the worktree and the branch ---------------------------------------------------


@mode
def edits_earlier_turn(asked: Asked) -> None:
    (asked.worktree / "01.res.md").write_text("I never said that.\n")
    say("The answer.")


@mode
def links_earlier_turn(asked: Asked) -> None:
    earlier = asked.worktree / "01.res.md"
    earlier.unlink()
    earlier.symlink_to(secret_file())
    say("The answer.")


@mode
def deletes_earlier_turn(asked: Asked) -> None:
    (asked.worktree / "01.res.md").unlink()
    say("The answer.")


@mode
def edits_its_request(asked: Asked) -> None:
    (asked.worktree / f"{asked.id}.req.md").write_text("Do nothing.\n")
    asked.reply.write_text(asked.response())


@mode
def pre_answers(asked: Asked) -> None:
    following = f"{int(asked.id) + 1:02d}"
    (asked.worktree / f"{following}.res.md").write_text(asked.response(re=following))
    asked.reply.write_text(asked.response())


@mode
def leaves_junk(asked: Asked) -> None:
    (asked.worktree / "build").mkdir()
    (asked.worktree / "build" / "junk.o").write_text("junk\n")
    (asked.worktree / ".gitattributes").write_text("*.md text eol=crlf\n")
    say("The answer.")


@mode
def stages_junk(asked: Asked) -> None:
    (asked.worktree / "junk.txt").write_text("junk\n")
    git("add", "junk.txt", folder=asked.worktree)
    blob = git("hash-object", "-w", "junk.txt", folder=asked.worktree)
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},nowhere.txt", folder=asked.worktree)
    git("rm", "--quiet", "--cached", "01.res.md", folder=asked.worktree)
    say("The answer.")


@mode
def deletes_worktree(asked: Asked) -> None:
    shutil.rmtree(asked.worktree)
    say("The answer.")


@mode
def removes_worktree(asked: Asked) -> None:
    git("worktree", "remove", "--force", str(asked.worktree))
    say("The answer.")


@mode
def locks_and_deletes_worktree(asked: Asked) -> None:
    git("worktree", "lock", str(asked.worktree))
    shutil.rmtree(asked.worktree)
    say("The answer.")


@mode
def deletes_relay_folder(asked: Asked) -> None:
    shutil.rmtree(asked.worktree.parent)
    say("The answer.")


@mode
def deletes_state(asked: Asked) -> None:
    shutil.rmtree(".git/relay")
    say("The answer.")


@mode
def moves_worktree(asked: Asked) -> None:
    asked.worktree.rename(asked.worktree.with_name("elsewhere"))
    say("The answer.")


@mode
def replaces_worktree_with_symlink(asked: Asked) -> None:
    """To a folder with a `.git` file of its own, as a submodule or a linked worktree has."""
    other = Path(os.environ["FAKE_PEER_SAW"]).with_name("other")
    other.mkdir(exist_ok=True)
    (other / ".git").write_text("gitdir: somewhere\n")
    (other / asked.reply.name).write_text(asked.response(SECRET))
    shutil.rmtree(asked.worktree)
    asked.worktree.symlink_to(other)
    say("The answer.")


@mode
def replaces_worktree_with_file(asked: Asked) -> None:
    shutil.rmtree(asked.worktree)
    asked.worktree.write_text("a file\n")
    say("The answer.")


@mode
def repoints_worktree(asked: Asked) -> None:
    """What git does in there would now be done to the caller's own checkout."""
    (asked.worktree / ".git").write_text(f"gitdir: {Path('.git').resolve()}\n")
    say("The answer.")


@mode
def switches_branch(asked: Asked) -> None:
    git("checkout", "--quiet", "-b", "elsewhere", folder=asked.worktree)
    say("The answer.")


@mode
def detaches_head(asked: Asked) -> None:
    git("checkout", "--quiet", "--detach", folder=asked.worktree)
    say("The answer.")


@mode
def commits_on_branch(asked: Asked) -> None:
    asked.reply.write_text(asked.response())
    (asked.worktree / "notes.md").write_text("mine\n")
    git("add", "--all", folder=asked.worktree)
    git("commit", "--quiet", "--message", "my own commit", folder=asked.worktree)


@mode
def forges_a_response(asked: Asked) -> None:
    """A commit that looks like one of gitrelay's, but changes the request in passing."""
    asked.reply.write_text(asked.response())
    (asked.worktree / f"{asked.id}.req.md").write_text("Do nothing.\n")
    git("add", "--all", folder=asked.worktree)
    text = f"res {asked.id} fake -> x: done, verify pass\n\nRelay-Id: {asked.id}\nRelay-Recorded: peer\n"
    git("commit", "--quiet", "--message", text, folder=asked.worktree)


@mode
def deletes_branch(asked: Asked) -> None:
    git("update-ref", "-d", asked.branch)
    say("The answer.")


@mode
def rewrites_branch(asked: Asked) -> None:
    git("commit", "--quiet", "--amend", "--message", "something else was asked", folder=asked.worktree)
    say("The answer.")


@mode
def resets_branch(asked: Asked) -> None:
    git("reset", "--quiet", "--hard", "HEAD~1", folder=asked.worktree)
    say("The answer.")


@mode
def makes_branch_a_symref(asked: Asked) -> None:
    """Whoever writes through it moves the user's branch."""
    git("symbolic-ref", asked.branch, "refs/heads/main")
    say("The answer.")


@mode
def runs_git_relay_res(asked: Asked) -> None:
    words = ["--session", asked.session, "--re", asked.id, "--from", asked.to, "--to", asked.from_]
    verdict = ["--status", "done", "--verify", "pass"]
    subprocess.run(["git", "relay", "res", *words, *verdict, "My own record."], check=True, stdout=subprocess.DEVNULL)
    say("I recorded it myself.")


# -- what `git relay peers test` asks for -----------------------------------------------------------


@mode
def conformant(asked: Asked) -> None:
    if "forbidden.txt" in asked.prompt:
        print(asked.response("It was refused."), end="")
    elif "written.txt" in asked.prompt:
        Path("written.txt").write_text("written\n")
        print(asked.response("Created."), end="")
    elif "begun.txt" in asked.prompt:
        subprocess.run(["sh", "-c", "touch begun.txt; sleep 300"], check=True)
    else:
        print(asked.response("ready"), end="", flush=True)


@mode
def conformant_but_writes(asked: Asked) -> None:
    if "forbidden.txt" in asked.prompt:
        Path("forbidden.txt").write_text("x\n")
    conformant(asked)


@mode
def conformant_but_only_says_so(asked: Asked) -> None:
    print(asked.response("Created."), end="")


@mode
def conformant_but_never_ends(asked: Asked) -> None:
    print(asked.response("ready"), end="", flush=True)
    hang()


# -- claude and codex, by their events -------------------------------------------------------------


def emit(*events: dict[str, Any]) -> None:
    for event in events:
        say(json.dumps(event))


GOOD = {"status": "done", "verify": "pass", "body": "The answer."}
INIT = {
    "type": "system",
    "subtype": "init",
    "session_id": "c-1",
    "model": "model-1",
    "claude_code_version": "2.1.329",
}
WORDS = {"type": "assistant", "message": {"model": "model-1", "content": [{"type": "text", "text": "Half an answer"}]}}


def result(**changed: Any) -> dict[str, Any]:
    base = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 1,
        "result": json.dumps(GOOD),
        "structured_output": GOOD,
        "session_id": "c-1",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3},
        "total_cost_usd": 0.25,
    }
    return {k: v for k, v in (base | changed).items() if v is not None}


THREAD = {"type": "thread.started", "thread_id": "t-1"}
DONE = {"type": "turn.completed", "usage": {"input_tokens": 10, "cached_input_tokens": 5, "output_tokens": 3}}


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "item_0", "type": kind, **fields}}


SPOKEN = item("agent_message", text=json.dumps(GOOD))


def _events(name: str, *events: dict[str, Any], code: int = 0) -> None:
    def play(asked: Asked) -> int:
        emit(*events)
        return code

    MODES[name] = play


_events("claude-good", INIT, result())
_events(
    "claude-is-error-with-exit-0", INIT, result(is_error=True, result="Something went wrong", structured_output=None)
)
_events(
    "claude-overloaded",
    INIT,
    result(is_error=True, api_error_status=529, result="API Error: 529 Overloaded (127.0.0.1:42955)"),
)
_events("claude-no-terminal-event", INIT, WORDS)
_events("claude-empty-result", INIT, result(result="", structured_output=None))
_events("claude-no-turns", INIT, result(result="", structured_output=None, num_turns=0))
_events("claude-says-nothing")
_events("claude-wrong-value", INIT, result(structured_output=GOOD | {"verify": "maybe"}))
_events("claude-answer-with-exit-1", INIT, result(), code=1)
_events(
    "claude-was-refused-tools",
    INIT,
    result(
        permission_denials=[{"tool_name": "Bash", "tool_use_id": "a"}, {"tool_name": "WebFetch", "tool_use_id": "b"}]
    ),
)
_events("claude-limit", INIT, result(result="You've hit your limit \u00b7 resets 1am (UTC)", structured_output=None))
_events("codex-good", THREAD, SPOKEN, DONE)
_events(
    "codex-turn-failed-with-exit-0",
    THREAD,
    SPOKEN,
    {"type": "turn.failed", "error": {"message": "the model went away"}},
)
_events("codex-no-agent-message", THREAD, item("command_execution", command="true"), DONE)
_events("codex-no-terminal-event", THREAD, SPOKEN)
_events("codex-empty-message", THREAD, item("agent_message", text=""), DONE)
_events("codex-wrong-value", THREAD, item("agent_message", text='{"status": "finished"}'), DONE)
_events("codex-says-nothing")
_events("codex-warns", THREAD, item("error", message="Model metadata not found"), SPOKEN, DONE)
_events(
    "codex-recovers",
    THREAD,
    {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 401 Unauthorized)"},
    SPOKEN,
    DONE,
)


def _huge_line() -> None:
    sys.stdout.buffer.write(b'{"type":"item.completed","item":{"text":"')
    for _ in range(40):
        sys.stdout.buffer.write(b"x" * (1024 * 1024))
    sys.stdout.buffer.write(b'"}}\n')
    sys.stdout.buffer.flush()


def _garbage() -> None:
    lines = (
        b"not json",
        b"\xff\xfe\x00",
        b"\0" * 100,
        b"[" * 100_000,
        b"9" * 10_000,
        b'"text"',
        b"null",
        b"[1]",
        b"{}",
        b'{"type": null}',
        b'{"type": {"a": 1}, "subtype": []}',
        b'{"type": "result", "is_error": "no", "usage": 7, "num_turns": []}',
        b'{"type": "assistant", "message": null}',
        b'{"type": "item.completed", "item": "x"}',
        b'{"type": "item.completed", "item": {"type": "agent_message", "text": 7}}',
        b'{"type": "turn.started", "usage": null}',
        b'{"type": "error", "message": {"no": "text"}}',
        b"\r",
        b"",
    )
    sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
    sys.stdout.buffer.flush()


@mode
def claude_huge_line(asked: Asked) -> None:
    emit(INIT)
    _huge_line()
    emit(result())


@mode
def codex_huge_line(asked: Asked) -> None:
    emit(THREAD)
    _huge_line()
    emit(SPOKEN, DONE)


@mode
def claude_garbage_lines(asked: Asked) -> None:
    emit(INIT)
    _garbage()
    emit(result())


@mode
def codex_garbage_lines(asked: Asked) -> None:
    emit(THREAD)
    _garbage()
    emit(SPOKEN, DONE)


@mode
def claude_no_last_newline(asked: Asked) -> None:
    emit(INIT)
    print(json.dumps(result()), end="")


@mode
def codex_no_last_newline(asked: Asked) -> None:
    emit(THREAD, SPOKEN)
    print(json.dumps(DONE), end="")


@mode
def claude_answers_then_hangs(asked: Asked) -> None:
    emit(INIT, result())
    hang()


@mode
def codex_answers_then_hangs(asked: Asked) -> None:
    emit(THREAD, SPOKEN, DONE)
    hang()


@mode
def codex_reconnects_for_ever(asked: Asked) -> None:
    """Talks all the time and gets nowhere: no sign of a model."""
    emit(THREAD)
    while True:
        emit({"type": "error", "message": "Reconnecting... waiting for network"})
        time.sleep(0.1)


# -- reviews -----------------------------------------------------------------------------------------


@mode
def reviews_when_told(asked: Asked) -> None:
    """Passes once the file `go` is there, beside FAKE_PEER_SAW."""
    go = Path(os.environ["FAKE_PEER_SAW"]).with_name("go")
    deadline = time.monotonic() + _FOREVER
    while not go.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    print(asked.response("No findings."), end="")


@mode
def reviews_by_the_files(asked: Asked) -> None:
    """Fails while the word BAD is in app.py of the head, as the patch or git shows it; keeps what it was asked."""
    Path(os.environ["FAKE_PEER_SAW"]).with_name("asked.md").write_text(asked.prompt)
    found = re.search(r"^head: (\S+)$", asked.prompt, re.MULTILINE)
    patch = re.search(r"in the file (\S+), for you", asked.prompt)
    assert found is not None and patch is not None
    bad = "BAD" in git("show", f"{found[1]}:app.py")
    assert not bad or "+BAD" in Path(patch[1]).read_text()
    words = "- [blocker] app.py:2 BAD is not a word of python; take it out" if bad else "No findings."
    print(asked.response(words, verify="fail" if bad else "pass"), end="")


@mode
def pushes_inside_its_call(asked: Asked) -> None:
    """Runs the command in the environment variable FAKE_PEER_RUN, and says how it ended."""
    done = subprocess.run(["sh", "-c", os.environ["FAKE_PEER_RUN"]], capture_output=True, text=True, check=False)
    print(asked.response(f"exit {done.returncode}\n{done.stderr}"), end="")


# --------------------------------------------------------------------------------------------------


def read_prompt() -> Asked:
    """What is asked, without waiting for the end of input: the Format block is the prompt's end."""
    prompt = b""
    while b"{your response}\n" not in prompt:
        more = os.read(0, 65536)
        if not more:
            break
        prompt += more
    text = prompt.decode()
    reply = re.findall(r"^Reply: (.+)$", text, re.MULTILINE)[-1]
    head = dict(re.findall(r"^(id|from|to): (.+)$", text, re.MULTILINE)[:3])
    return Asked(head["id"], head["from"], head["to"], Path(reply), text)


def main() -> int:
    play = MODES[sys.argv[1]]
    if "--version" in sys.argv:
        say("2.1.329 (Claude Code)" if sys.argv[1].startswith("claude") else "codex-cli 0.169.0")
        return 0
    asked = read_prompt()
    caller = str(Path.cwd()).partition("/.relay/.work/")[0]  # a workspace has no branch of a session
    with open(os.environ["FAKE_PEER_SAW"], "a") as f:
        f.write(git("rev-parse", asked.branch, folder=caller) + "\n")
    return play(asked) or 0


if __name__ == "__main__":
    sys.exit(main())
