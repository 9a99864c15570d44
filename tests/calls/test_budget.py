"""Budgets: the words, what is measured, and that a peer is ended when one is used up, for a whole tree of calls."""

from __future__ import annotations

import json
import os
import re
import sys
from decimal import Decimal

import pytest

from gitrelay.errors import UsageError
from gitrelay.ledger.ledger import open_ledger
from gitrelay.peers.registry import BUILT_IN
from gitrelay.protocol import budget
from gitrelay.protocol.budget import Amount, Held
from support.repo import Repo
from support.soak import rounds
from support.waiting import eventually, patient

# plays claude: model calls of 1000 fresh tokens each, $STEPS of them, after the commands in $INSIDE. One that is asked
# to play the NODE x-1 first calls the nodes x-1-0, x-1-1, ... ($FAN of them) unless it is $LEVELS deep; its model calls
# take longer than it takes gitrelay to note the one before.
CLAUDE = """\
#!/usr/bin/env python3
import json, os, re, subprocess, sys, time
from pathlib import Path
if "--version" in sys.argv:
    print("2.1.329 (Claude Code)")
    sys.exit()
prompt = sys.stdin.read()
def say(**event):
    print(json.dumps(event), flush=True)
say(type="system", subtype="init", session_id="11111111-1111-4111-8111-111111111111", model="m")
inside = [] if "INNER" in prompt else json.loads(os.environ.get("INSIDE", "[]"))
running = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for words in inside]
steps = int(os.environ.get("STEPS", "2"))
if "budget of this call is used up" in prompt:
    assert "--resume" in sys.argv and "plan" in sys.argv, sys.argv
    steps = 1
name = re.search(r"NODE ([a-z0-9-]+)", prompt)
if name and name[1].count("-") + 1 < int(os.environ.get("LEVELS", "1")):
    for i in range(int(os.environ["FAN"])):
        its = f"{name[1]}-{i}"
        words = [sys.executable, "-P", "-m", "gitrelay", "req", "--to", "claude", "--session", its, f"NODE {its}"]
        running.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
def noted(i):
    try:
        return int(json.loads(Path(f".git/relay/calls/{name[1]}/spent.json").read_bytes())["output"]) >= 100 * (i + 1)
    except (OSError, ValueError, KeyError):
        return False
usage = {"input_tokens": 900, "output_tokens": 100, "cache_read_input_tokens": 7000}
for i in range(steps):
    say(type="assistant", message={"id": f"m{i}", "model": "m", "usage": usage,
        "content": [{"type": "text", "text": f"step {i}"}]})
    end = time.monotonic() + 60
    while name and not noted(i) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5 * min(max(1, os.getloadavg()[0] / os.cpu_count()), 10))  # as long as a model call takes at least
for one in running:
    one.wait()
words = "Half is open." if "--resume" in sys.argv else "Done."
answer = {"status": "done", "verify": "pass", "body": words}
say(type="result", subtype="success", is_error=False, num_turns=steps, total_cost_usd=0.01 * steps,
    usage={k: v * steps for k, v in usage.items()}, structured_output=answer)
"""


@pytest.fixture
def claude(repo: Repo) -> Repo:
    folder = repo.path.parent / "bin"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(CLAUDE.replace("/usr/bin/env python3", sys.executable))
    program.chmod(0o755)
    return Repo(repo.path, {**repo.env, "PATH": os.pathsep.join([str(folder), repo.env["PATH"]])})


def usage_of(repo: Repo) -> dict[str, int]:
    """session -> fresh tokens that are recorded for it."""
    found: dict[str, int] = {}
    rows = repo.git("log", "--glob=refs/heads/relay/*", "--format=%S %(trailers:key=Relay-Usage,valueonly,separator=)")
    for row in rows.splitlines():
        ref, _, words = row.partition(" ")
        figures = dict(word.split("=") for word in words.split())
        if figures:
            fresh = int(figures["input"]) - int(figures["cached"]) + int(figures["output"])
            found[ref.rpartition("/")[2]] = found.get(ref.rpartition("/")[2], 0) + fresh
    return found


def test_a_call_ends_at_its_budget_and_a_day_is_shared(claude: Repo) -> None:
    done = claude.relay("req", "--to", "claude", "--session", "a", "--budget", "2ktok", "Work.", env={"STEPS": "9"})
    assert done.code == 4 and "reason: budget" in done.out and "step 1" in done.out
    assert "2000tok since" in done.err or "of 2000tok" in done.err
    trailers = claude.git("log", "-2", "--format=%(trailers)", "relay/a")
    assert '{"call": ["2000tok"]}' in trailers
    claude.git("config", "relay.budget.day", f"{usage_of(claude)['a'] // 1000 + 1}ktok 1h")
    done = claude.relay("req", "--to", "claude", "--session", "b", "Work.", env={"STEPS": "1"})
    assert done.code in (0, 4)  # its answer may be whole when the day is used up
    done = claude.relay("req", "--to", "claude", "--session", "c", "--json", "Work.")
    (error,) = done.json["errors"]
    assert done.code == 4 and error["code"] == "budget"
    assert "it was not asked: the budget of the day is used up" in done.json["data"]["body"]
    assert "a/01" in done.json["data"]["body"] and done.json["data"]["usage"] == {}
    rows = claude.relay("stats", "--budget", "--json").json["data"]
    assert {(row["scope"], row["unit"]) for row in rows} == {("day", "tok"), ("day", "time")}
    assert next(row["left"] for row in rows if row["unit"] == "tok") == 0
    assert claude.relay("fsck").code == 0


def test_calls_inside_a_call_draw_on_its_budget(claude: Repo) -> None:
    claude.git("config", "relay.maxDepth", "5")
    inner = [
        [sys.executable, "-P", "-m", "gitrelay", "req", "--to", "claude", "--session", f"in{i}", "INNER"]
        for i in range(3)
    ]
    env = {"INSIDE": json.dumps(inner), "STEPS": "2"}
    done = claude.relay("req", "--to", "claude", "--session", "out", "--budget", "4ktok", "Work.", env=env)
    assert done.code in (0, 4), done.err
    spent = usage_of(claude)
    # four peers ran at once: each may pass the cap by one model call
    assert sum(spent.values()) <= 4000 + 4 * 1000, spent
    trailers = claude.git("log", "--glob=refs/heads/relay/in*", "--format=%(trailers:key=Relay-Budget,valueonly)")
    assert '{"in": ["out/01"]}' in trailers


def test_a_peer_hands_back_what_is_open(claude: Repo) -> None:
    words = ("req", "--to", "claude", "--session", "a", "--budget", "2ktok", "--hand-back", "--json", "Work.")
    done = claude.relay(*words, env={"STEPS": "60"})
    data = done.json["data"]
    assert (done.code, data["reason"]) == (4, "budget")
    assert "of 2000tok" in data["body"] and "step 1" in data["body"] and data["body"].endswith("Half is open.")
    assert data["usage"]["output"] >= 300 and data["usage"]["cost_usd"] == 0.01, "those of both turns"


def over(repo: Repo) -> None:
    """Wait until no call runs any more; the look records what was ended with the call above it before it could."""
    assert eventually(lambda: repo.relay("status", "--json").json["data"] == [], 120)


def test_a_whole_tree_of_calls_draws_on_one_budget(claude: Repo) -> None:
    """Three levels; the sum of what is recorded is within the cap and one model call of each peer that ran."""
    claude.git("config", "relay.maxDepth", "5")
    cap = rounds(6, 20)
    env = {"LEVELS": "3", "FAN": str(rounds(2, 5)), "STEPS": "4"}
    done = claude.relay("req", "--to", "claude", "--session", "t", "--budget", f"{cap}ktok", "NODE t", env=env)
    assert done.code in (0, 4), done.err
    over(claude)
    spent = usage_of(claude)
    assert "t-0" in spent or "t-1" in spent, spent
    assert cap * 1000 <= sum(spent.values()) <= (cap + len(spent)) * 1000, spent
    inside = claude.git(
        "log", "--glob=refs/heads/relay/t-*", "--grep=^req ", "--format=%S %(trailers:key=Relay-Budget)"
    )
    for line in filter(None, inside.splitlines()):
        ref, _, budget_ = line.partition(" ")
        parts = ref.rpartition("/")[2].split("-")
        above = ["-".join(parts[:i]) + "/01" for i in range(1, len(parts))]
        assert budget_ == "Relay-Budget: " + json.dumps({"in": above})


def test_processes_share_the_cap_of_a_day(claude: Repo) -> None:
    count = rounds(6, 20)
    claude.git("config", "relay.budget.day", f"{count}ktok")
    asked = [
        claude.start("req", "--to", "claude", "--session", f"d{i}", f"NODE d{i}", env={"STEPS": "3"})
        for i in range(count)
    ]
    said = [one.communicate(timeout=patient(120)) for one in asked]
    codes = {one.returncode for one in asked}
    assert codes <= {0, 4} and 4 in codes, said
    spent = usage_of(claude)
    assert count * 1000 <= sum(spent.values()) <= (count + len(spent)) * 1000, spent


def test_a_budget_holds_though_the_lock_and_the_record_cannot_be_had(claude: Repo) -> None:
    assert claude.relay("req", "--to", "shell", "--session", "first", "true").code == 0
    claude.sh("""
        tree=$(git mktree </dev/null); parent=$(git commit-tree -m 'open broken' $tree)
        git update-ref refs/heads/relay/broken $(git commit-tree -p $parent -m 'req 01 a -> b: x' $tree)
        rm -f .git/objects/$(echo $parent | sed 's,^..,&/,')
    """)
    with open_ledger(claude.path).state.lock(".budget") as lock:
        lock.acquire(10)
        words = ("req", "--to", "claude", "--session", "a", "--budget", "2ktok", "Work.")
        done = claude.relay(*words, env={"STEPS": "60"})
    assert done.code == 4 and "reason: budget" in done.out, done.err


def test_what_is_not_measured_is_said_and_only_time_holds(repo: Repo) -> None:
    done = repo.relay("req", "--to", "shell", "--session", "s", "--budget", "5tok", "--budget", "1h", "true")
    assert done.code == 0 and "tok not measured" in done.err
    assert "budget: tok not measured, shell does not tell it" in repo.git("log", "-1", "--format=%B", "relay/s")
    done = repo.relay("req", "--to", "shell", "--session", "t", "--budget", "500ms", "sleep 60")
    assert done.code == 4 and "reason: budget" in done.out
    done = repo.relay("req", "--to", "shell", "--budget", "3zz", "--json", "true")
    assert (done.code, done.json["errors"][0]["code"]) == (2, "bad-budget")
    repo.git("config", "relay.budget.day", "many")
    done = repo.relay("req", "--to", "shell", "true")
    assert done.code == 2 and "relay.budget.day" in done.err and "'many'" in done.err


def test_words_of_a_budget() -> None:
    assert budget.parse(["2usd", "$1.50", "200ktok", "1mtok", "15m"], "x") == Amount(
        Decimal("1.50"), Decimal(200_000), Decimal(900)
    )
    held = Held((("call", "", budget.parse(["2usd"], "x")), ("day", "codex", budget.parse(["1h"], "x"))), ("s/01",))
    assert Held.from_trailer(held.to_trailer()) == held
    for text in ("", "x", "[]", '{"call": 1, "in": {}}', '{"call": ["zz"]}', "[" * 9999):
        assert Held.from_trailer(text) == Held()
    for word in ("2 usd", "3zz", "5", "", "-1usd", "2usd2", "1e9usd", "0"):
        with pytest.raises(UsageError):
            budget.parse([word], "x")


def test_a_price_is_used_if_no_cost_is_reported() -> None:
    figures = {"input": Decimal(1_000_000), "cached": Decimal(400_000), "output": Decimal(100_000)}
    price = Amount(Decimal(1), Decimal(10), Decimal("0.1"))
    assert budget.used(figures, None, price) == Amount(Decimal("1.64"), Decimal(700_000), None)
    assert budget.used(figures | {"cost_usd": Decimal(2)}, None, price).usd == 2
    assert budget.used(figures, None).usd is None
    assert budget.used({}, Decimal(3)) == Amount(None, None, Decimal(3))


def test_every_agent_says_what_it_measures() -> None:
    for name, peer in BUILT_IN.items():
        told = {*peer.capabilities.measures, *peer.capabilities.reports}
        assert told <= {"tok", "usd"}, name
        assert bool(told) == (peer.capabilities.events and name != "copilot"), name  # its events have no usage
    assert re.fullmatch("[a-z ]+", " ".join(BUILT_IN))
