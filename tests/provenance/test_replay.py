"""`git relay replay`: recorded requests asked again, by real processes, and what the report says of them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.repo import Repo
from support.waiting import eventually, patient

# the model is the highest number that it can make; it notes where it ran, what it was told and what it sees
PROGRAM = """\
told=$(cat)
n=$(printf '%s\\n' "$told" | sed -n 's/^make file n//p')
{ echo "model=$1 n=$n"; pwd; git log --all --format=%an; git cat-file --batch-all-objects --batch-check;
  (cd "$(git rev-parse --show-toplevel)"; find .relay -name '*.md' 2>/dev/null | sort); echo ==; } >>"$LOG"
printf '%s\\n' "$told" >"$LOG.told"
[ ! -e "$LOG.hold" ] || { : >"$LOG.held"; while [ -e "$LOG.hold" ]; do sleep 0.05; done; }
[ ! -e "$LOG.say" ] || cat "$LOG.say"
[ "$n" -gt "$1" ] || echo made >"n$n"
echo "I am done."
"""


@pytest.fixture
def recorded(repo: Repo) -> Repo:
    """The peer `prog` may be asked with models that are numbers; what it does is in `log` beside the repository."""
    log = repo.path.parent / "log"
    program = repo.path.parent / "program"
    program.write_text(f"LOG={shlex.quote(str(log))}\n{PROGRAM}")
    repo.git("config", "relay.prog.command", f"sh {shlex.quote(str(program))} {{model}}")
    repo.git("config", "relay.prog.plain", "true")
    return repo


def ask(repo: Repo, n: int, *words: str) -> None:
    made = f"deep/n{n}" if "deep" in words else f"n{n}"
    asked = ("--to", "prog", "--model", "10", "--session", "s", "--check", f"test -f {made}", *words)
    done = repo.relay("req", "--from", "uma", *asked, f"make file n{n}")
    assert done.code in (0, 1), done.err


def log_of(repo: Repo) -> list[list[str]]:
    """The lines of each run of the program."""
    text = (repo.path.parent / "log").read_text()
    return [run.split("\n") for run in text.rstrip("=\n").split("\n==\n")]


def arms(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {arm["arm"]: arm for arm in data["arms"]}


def test_ten_exchanges_tell_a_better_model_from_a_worse_one_and_equal_ones_not(recorded: Repo) -> None:
    for n in range(1, 11):
        ask(recorded, n)
    before = recorded.git("for-each-ref", "refs/heads/main", "refs/heads/master", "refs/heads/relay/s")
    files = recorded.git("status", "--porcelain"), sorted(p.name for p in recorded.path.iterdir())
    words = ("replay", "--session", "s", "--to", "prog", "--yes")
    done = recorded.relay(*words, "--model", "3", "--json", timeout=patient(120))
    assert done.code == 0, done.err
    data = done.json["data"]
    assert data["over"] and len(data["exchanges"]) == 10 and data["left_out"] == []
    again, new = arms(data)["again"], arms(data)["new"]
    assert (again["passed"], again["of"], new["passed"], new["of"]) == (10, 10, 3, 10)
    assert (again["low"], new["high"]) == (0.7225, 0.6032) and not new["few"]
    assert (again["only"], new["only"], data["both"], data["neither"]) == (7, 0, 3, 0)
    assert data["p"] == 0.015625 and data["winner"] == "again" and data["needed"]["pairs"] == 0
    assert len(data["runs"]) == 20 and all(run["signs"] == [] for run in data["runs"])
    # the report is the answer to the plan
    said = recorded.relay("show", data["session"]).out
    assert "7 to 0" in said or "0 to 7" in said
    assert "prog again passes more" in said and "Not brought back:" in said

    equal = recorded.relay("replay", "--last", "6", *words[3:], "--model", "11", timeout=patient(120))
    assert equal.code == 0 and "p = 1.00: no difference can be told" in equal.out, equal.out
    assert "6 more exchanges that only one side passes" in equal.out and "passes more" not in equal.out

    # nothing of it came into the user's tree, and all of it is sound
    assert recorded.git("for-each-ref", "refs/heads/main", "refs/heads/master", "refs/heads/relay/s") == before
    assert (recorded.git("status", "--porcelain"), sorted(p.name for p in recorded.path.iterdir())) == files
    assert recorded.git("for-each-ref", "refs/relay/workspaces") == ""
    assert recorded.relay("fsck").code == 0
    assert [name for name in os.listdir(recorded.path / ".relay") if name.startswith("replay")] == []


def test_a_run_sees_the_files_and_the_turns_of_then_and_nothing_of_later(recorded: Repo) -> None:
    recorded.sh("mkdir deep; echo deep >deep/file")
    ask(recorded, 1)
    ask(recorded, 2, "--cwd", "deep", "--context", "s/01")
    recorded.sh("echo secret >later.txt; git add -A; git commit -qm later; git tag later")
    ours = log_of(recorded)
    peek = recorded.path.parent / "log.say"
    peek.write_text(f"$ git log --all\n$ cat {recorded.path}/later.txt\n")
    done = recorded.relay("replay", "s/02", "--to", "prog", "--model", "2", "--yes", "--json")
    assert done.code == 0, done.err
    data = done.json["data"]
    runs = log_of(recorded)[len(ours) :]
    assert len(runs) == 2
    for run in runs:
        assert Path(run[1]).name == "deep", "where it was started then"
        place = Path(run[1]).parent
        assert not place.is_relative_to(recorded.path) and not place.exists(), "outside, and gone"
        assert run[2] == "nobody" and run[3] != "nobody", "one commit"
        objects = [line.split()[0] for line in run[3:] if line.endswith(tuple("0123456789"))]
        assert recorded.git("rev-parse", "HEAD:later.txt") not in objects
        messages = [line for line in run if line.endswith(".md")]
        earlier = {f".relay/s/01.{kind}.md" for kind in ("req", "res", "check")}
        assert {line for line in messages if line.startswith(".relay/s/")} == earlier
    assert runs[0][1] != runs[1][1], "a new folder each time"
    told = (recorded.path.parent / "log.told").read_text()
    assert "make file n2\n" in told and "Context: read all .md files in .relay/s/ in order first\n" in told
    assert "\n> make file n1\n" in told and told.count("- s/01 (uma -> prog, pass)") == 1, "what was handed over then"
    assert {sign for run in data["runs"] for sign in run["signs"]} == {"history", "original"}
    text = recorded.relay("show", data["session"]).out
    assert "To look at: 2 runs that looked for other commits" in text
    # the recorded answer's files are what the checks were held to first
    request = recorded.git("log", "-1", "--format=%B", f"relay/{data['runs'][0]['address'].split('/')[0]}~2")
    assert "Relay-Replay: s/02 again 1" in request and "Relay-Asked-Model: 10" in request


def test_what_cannot_be_compared_is_left_out_and_said(recorded: Repo) -> None:
    ask(recorded, 1)
    ask(recorded, 11)  # the model cannot: its check fails on the recorded answer too
    assert recorded.relay("req", "--to", "prog", "--session", "s", "--model", "10", "make file n2").code == 0
    plan = recorded.relay("replay", "--session", "s", "--to", "prog", "--model", "10", "--dry-run", "--json").json[
        "data"
    ]
    assert plan["exchanges"] == ["s/01", "s/02"] and plan["runs"] == 4 and plan["cost_usd"]["recorded"] is None
    assert [one["address"] for one in plan["left_out"]] == ["s/03"]
    assert len(log_of(recorded)) == 3, "nobody was asked"
    done = recorded.relay("replay", "--session", "s", "--to", "prog", "--model", "10", "--budget", "1h")
    assert done.code == 0, done.err
    assert "Replayed 1 exchange, 1 run each" in done.out
    assert "Left out: s/02: its check does not pass on the recorded answer: fail (exit 1): test -f n11." in done.out
    assert "Left out: s/03: nothing checks it; --check CMD names one." in done.out
    # a check given by hand judges those that have none
    by_hand = ("replay", "s/03", "--to", "prog", "--model", "1", "--check", "test -f n2", "--yes", "--json")
    strict = recorded.relay(*by_hand).json["data"]
    assert arms(strict)["new"]["passed"] == 0 and strict["lenient"] == []
    # one that passes before any work is told of
    lenient = recorded.relay("replay", "s/03", "--to", "prog", "--model", "1", "--check", "true", "--yes")
    assert "tell only whether something was broken: 1 exchange: s/03." in lenient.out, lenient.err


def test_wrong_words_and_refusals(recorded: Repo) -> None:
    ask(recorded, 1)
    tries = (
        (("s/01",), 2, "'--to'"),
        (("--to", "prog"), 2, "ADDRESS"),
        (("s/01", "--last", "2", "--to", "prog"), 2, "--last"),
        (("s/09", "--to", "prog", "--yes"), 2, "s/09"),
        (("none/01", "--to", "prog", "--yes"), 2, "none"),
        (("s/01", "--to", "nobody", "--yes"), 2, "nobody"),
        (("s/01", "--to", "prog", "--model", "a b", "--yes"), 2, "'a b'"),
        (("s/01", "--to", "prog", "--check", "", "--yes"), 2, "''"),
        (("s/01", "--to", "prog", "--check", "false", "--yes"), 2, "does not pass on the recorded answer"),
        (("s/01", "--to", "prog", "--budget", "5apples"), 2, "'5apples'"),
        (("s/01", "--to", "prog"), 2, "--yes"),
    )
    for words, code, said in tries:
        done = recorded.relay("replay", *words)
        assert (done.code, said in done.err) == (code, True), (words, done.err)
    assert len(log_of(recorded)) == 1, "nobody was asked"
    assert recorded.git("for-each-ref", "refs/heads/relay/replay-*") == ""
    # inside of a call with read access nothing is begun
    inner = recorded.relay("replay", "s/01", "--to", "prog", "--yes", env={"GITRELAY_ACCESS": "read"})
    assert inner.code == 4 and "read access" in inner.err


def held(repo: Repo, *words: str) -> subprocess.Popen[bytes]:
    """A replay whose first run is at work and waits."""
    (repo.path.parent / "log.hold").touch()
    process = repo.start("replay", "--session", "s", "--to", "prog", "--yes", *words)
    assert eventually((repo.path.parent / "log.held").exists)
    return process


def let_go(repo: Repo) -> None:
    (repo.path.parent / "log.hold").unlink()
    (repo.path.parent / "log.held").unlink()


def test_the_same_command_goes_on_after_a_kill_and_pays_for_nothing_twice(recorded: Repo) -> None:
    ask(recorded, 1)
    ask(recorded, 2)
    before = len(log_of(recorded))
    process = held(recorded, "--model", "1")
    process.kill()
    process.communicate()
    let_go(recorded)
    words = ("replay", "--session", "s", "--to", "prog", "--yes", "--model", "1")
    done = recorded.relay(*words, "--json")
    assert done.code == 0 and "goes on" in done.err, done.err
    data = done.json["data"]
    assert (len(data["runs"]), len(log_of(recorded)) - before) == (4, 4)
    assert [arms(data)[arm]["passed"] for arm in ("again", "new")] == [2, 1]
    # what is over is not taken up: a repeat of a recorded run would be none
    assert recorded.relay(*words, "--dry-run", "--json").json["data"]["runs"] == 4

    # Ctrl-C cancels the run that is at work; it is made again
    before = len(log_of(recorded))
    process = held(recorded, "--model", "2")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=patient(60))
    assert process.returncode == 130 and b"the same command goes on" in err, err
    let_go(recorded)
    # a budget that is used up stops it with what is recorded
    short = recorded.relay(*words[:-1], "2", "--budget", "0.001s", "--json")
    assert short.code == 4 and not short.json["data"]["over"] and "budget" in short.json["errors"][0]["message"]
    by_hand = recorded.relay("res", "--verify", "pass", "mine")
    assert by_hand.code == 2 and "no request waits" in by_hand.err, "the report is gitrelay's to write"
    done = recorded.relay(*words[:-1], "2", "--json")
    assert done.code == 0, done.err
    assert done.json["data"]["over"] and len(done.json["data"]["runs"]) == 4
    assert len(log_of(recorded)) - before <= 6  # one was cancelled, one may have begun before its time was over
    assert recorded.relay("fsck").code == 0
