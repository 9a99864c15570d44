"""`git relay stats`: figures worked out by hand from a history written in shell, and what holds for any history."""

from __future__ import annotations

import math
import os
import pty
import subprocess
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelay.history import figures
from gitrelay.history.exchange import Check, Exchange
from gitrelay.history.figures import Figures
from gitrelay.protocol.names import Address
from gitrelay.protocol.record import Commit
from support.repo import GIT_RELAY, Repo

# `say SECONDS SUBJECT [TRAILER...]` adds a commit at that time to $b
HISTORY = """
say() {
  export GIT_COMMITTER_DATE="$1 +0000"; subject=$2; shift 2
  tip=$(printf '%s\\n' "$subject" '' "$@" | git commit-tree $(git mktree </dev/null) ${tip:+-p $tip})
  git update-ref $b $tip
}
req() { say "$1" "req $2 uma -> $3: do it" "Relay-Id: $2" "Relay-From: uma" "Relay-To: $3"; }
res() {
  at=$1; id=$2; who=$3; status=$4; verify=$5; shift 5
  say $at "res $id $who -> uma: $status" "Relay-Id: $id" "Relay-From: $who" "Relay-To: uma" \\
    "Relay-Status: $status" "Relay-Verify: $verify" "Relay-Recorded: peer" "$@"
}
chk() { say "$1" "chk $2 $3" "Relay-Id: $2" "Relay-Check: $3"; }

b=refs/heads/relay/alpha; tip=
say 1767225000 "open alpha" "Relay-Version: 4"
# 2025-12-31 23:55 UTC: claimed pass, the check agrees
req 1767225300 01 codex
res 1767225310 01 codex done pass "Relay-Model: m1" "Relay-Duration: 10.0" "Relay-Usage: input=100 cached=40 output=5"
chk 1767225311 01 "pass: pytest -q"
# 2026-01-01: claimed pass, the check failed; made anew much later, it passes
req 1767229200 02 codex
res 1767229220 02 codex done pass "Relay-Model: m1" "Relay-Duration: 20.0" \\
  "Relay-Usage: input=200 output=7 cost_usd=0.25"
chk 1767229221 02 "fail (exit 1): pytest -q"
chk 1767229900 02 "pass: pytest -q"
# claimed fail, both checks passed
req 1767230000 03 claude
res 1767230030 03 claude done fail "Relay-Model: m2" "Relay-Duration: 30.0" \\
  "Relay-Usage: cost_usd=1.50" "Relay-Redacted: 2"
chk 1767230031 03 "pass: true"
chk 1767230032 03 "pass: make"
# claimed nothing, the check timed out
req 1767231000 04 claude
res 1767231040 04 claude done skip "Relay-Duration: nonsense" "Relay-Usage: input=inf output=-4 cost_usd=x"
chk 1767231041 04 "timeout: make"
# claimed pass, the check never ended
req 1767232000 05 codex
res 1767232040 05 codex done pass "Relay-Model: m1" "Relay-Duration: 40.0"
chk 1767232041 05 "lost: make"

b=refs/relay/archive/beta; tip=
say 1767240000 "open beta" "Relay-Version: 4"
req 1767240001 01 codex
res 1767240101 01 codex error skip "Relay-Reason: timeout" "Relay-Duration: 100.0"
req 1767240201 02 codex
res 1767240301 02 codex error skip "Relay-Duration: 50.0"
req 1767240401 03 claude

b=refs/heads/relay/Not_A_Session; tip=
req 1767240001 01 codex
"""


def on_a_terminal(repo: Repo, width: int, *args: str, **env: str) -> list[str]:
    """What a terminal of that width sees of git-relay's answer."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*GIT_RELAY, *args],
        cwd=repo.path,
        env={**repo.env, "COLUMNS": str(width), **env},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 4096):
            seen += chunk
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(leader)
    assert process.wait(60) == 0
    return seen.decode().splitlines()


@pytest.fixture
def history(repo: Repo) -> Repo:
    repo.sh(HISTORY)
    return repo


def test_the_figures_are_those_worked_out_by_hand(history: Repo) -> None:
    data = history.relay("stats", "--json").json["data"]
    assert (data["by"], data["since"], data["sessions"], data["groups"]) == (None, None, 2, [])
    assert data["total"] == {
        "group": None,
        "calls": 8,
        "pending": 1,
        "done": 5,
        "error": 2,
        "reasons": {"timeout": 1, "peer-error": 1},
        "verify": {"pass": 3, "fail": 1, "skip": 1},
        # the second one's check passed when it was run again; one check timed out, one never ended
        "outcomes": {"pass": 2, "fail": 1, "unverified": 0, "check-failed": 2, "pending": 1, "error": 2},
        "checked_pass": 2,
        "checks": {
            "checked": 5,
            "agreed": 1,
            "claimed_pass_failed": 1,
            "claimed_fail_passed": 1,
            "no_claim": 1,
            "unknown": 1,
        },
        # passed 01 and 03, failed 02 and 04 (timeout); claimed pass 01, 02, 05, fail 03
        "seen": {"passed": 2, "of": 4, "low": 0.15, "high": 0.85, "few": True},
        "claimed": {"passed": 3, "of": 4, "low": 0.3006, "high": 0.9544, "few": True},
        # of 10, 20, 30, 40, 50, 100: the 3rd of 6 is the median, the 6th the 90th
        "duration_s": {"known": 6, "total": 250.0, "min": 10.0, "p50": 30.0, "p90": 100.0, "p99": 100.0, "max": 100.0},
        "tokens": {
            "input": {"known": 2, "total": 300},
            "cached": {"known": 1, "total": 40},
            "output": {"known": 2, "total": 12},
        },
        "cost_usd": {"known": 2, "total": 1.75},
        "redacted": 2,
    }


def test_groups_say_what_is_not_known(history: Repo) -> None:
    def groups(by: str, *args: str, **env: str) -> list[dict[str, Any]]:
        found = history.relay("stats", "--by", by, "--json", *args, env=env).json["data"]["groups"]
        assert isinstance(found, list)
        return found

    assert [(g["group"], g["calls"]) for g in groups("peer")] == [("codex", 5), ("claude", 3)]
    assert [(g["group"], g["calls"]) for g in groups("session")] == [("alpha", 5), ("beta", 3)]
    # one has no answer, one an answer without its model, and two errors
    assert [(g["group"], g["calls"]) for g in groups("model")] == [("m1", 3), ("m2", 1), (None, 4)]
    both = [(g["group"], g["calls"]) for g in groups("peer,model")]
    assert both == [("codex,m1", 3), ("claude,(unknown)", 2), ("codex,(unknown)", 2), ("claude,m2", 1)]
    days = groups("day", TZ="UTC")
    assert [(g["group"], g["calls"]) for g in days] == [("2025-12-31", 1), ("2026-01-01", 7)]
    assert [(g["group"], g["calls"]) for g in groups("day", TZ="Etc/GMT+2")] == [("2025-12-31", 5), ("2026-01-01", 3)]
    (beta,) = groups("session", "beta")
    assert beta["tokens"]["input"] == {"known": 0, "total": None}
    assert beta["cost_usd"] == {"known": 0, "total": None}
    assert beta["duration_s"]["p50"] == 50.0
    assert groups("peer", "--since", "1h") == []
    history.sh(HISTORY + "b=refs/heads/relay/now; tip=; req $(date +%s) 01 gemini")
    assert [(g["group"], g["calls"]) for g in groups("peer", "--since", "1h")] == [("gemini", 1)]


def test_a_pipe_gets_plain_columns(history: Repo) -> None:
    done = history.relay("stats")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["FIGURE", "VALUE", "OF"]
    for line in (
        ["calls", "8"],
        ["done", "5", "8"],
        ["done:pass", "2", "5"],
        ["error:timeout", "1", "2"],
        ["checked:claimed-pass-failed", "1", "5"],
        ["seconds:p90", "100.0", "6"],
        ["tokens:input", "300", "2"],
        ["cost-usd", "1.75", "2"],
    ):
        assert line in lines
    assert history.relay("stats", "beta").out.splitlines()[-2].split() == ["cost-usd", "unknown", "0"]
    table = [line.split() for line in history.relay("stats", "--by", "peer").out.splitlines()]
    assert table[0][:5] == ["PEER", "CALLS", "PENDING", "DONE", "ERROR"]
    assert [row[:5] for row in table[1:]] == [
        ["codex", "5", "0", "3", "2"],
        ["claude", "3", "1", "2", "0"],
        ["(total)", "8", "1", "5", "2"],
    ]
    seen = table[0].index("SEEN")
    assert [row[seen : seen + 4] for row in table] == [
        ["SEEN", "SEEN-95%", "CLAIMED", "CLAIMED-95%"],
        ["1/2", "few", "3/3", "few"],
        ["1/2", "few", "0/1", "few"],
        ["2/4", "few", "3/4", "few"],
    ]
    cost = table[0].index("COST")
    assert [row[cost] for row in table[1:]] == ["0.25+", "1.50+", "1.75+"]
    assert "\x1b" not in done.out and "█" not in done.out


def test_a_terminal_gets_bars_that_fit(history: Repo) -> None:
    wide = on_a_terminal(history, 100, "stats")
    (row,) = (line for line in wide if line.startswith("    pass "))
    assert "40%" in row and "█" in row and "\x1b[32m" in row
    plain = on_a_terminal(history, 100, "stats", NO_COLOR="1")
    assert "█" in "".join(plain) and "\x1b" not in "".join(plain)
    ascii_ = on_a_terminal(history, 100, "stats", NO_COLOR="1", PYTHONUTF8="0", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert "#" in "".join(ascii_) and "".join(ascii_).isascii()
    for width in (30, 50, 80, 120):
        for by in ((), ("--by", "peer")):
            lines = on_a_terminal(history, width, "stats", *by, NO_COLOR="1")
            assert all(len(line) <= width for line in lines if by or "█" in line), lines
    table = on_a_terminal(history, 80, "stats", "--by", "peer", NO_COLOR="1")
    longest, shorter = (line.count("█") for line in table[1:3])
    assert longest > shorter > 0 and "█" not in table[-1]  # codex 5 calls, claude 3; none behind the total
    narrow = on_a_terminal(history, 30, "stats", "--by", "peer", NO_COLOR="1")
    assert narrow[0].split()[:2] == ["PEER", "CALLS"]


def test_nothing_to_count_and_wrong_words(repo: Repo) -> None:
    none = repo.relay("stats")
    assert (none.code, none.out, none.err) == (0, "", "no calls\n")
    assert repo.relay("stats", "--json").json["data"]["total"]["calls"] == 0
    unknown = repo.relay("stats", "nothing")
    assert unknown.code == 2 and "'nothing'" in unknown.err
    assert "'../x'" in repo.relay("stats", "../x").err
    assert repo.relay("stats", "--by", "moon").code == 2
    assert "'soon'" in repo.relay("stats", "--since", "soon").err


def test_figures_of_real_calls(repo: Repo) -> None:
    call = ("req", "--to", "shell", "--session", "s")
    assert repo.relay(*call, "--check", "false", "true").code == 1  # claims pass
    assert repo.relay(*call, "--check", "true", "exit 3").code == 1  # claims fail
    assert repo.relay(*call, "--check", "true", "true").code == 0
    assert repo.relay(*call, "--no-invoke", "true").code == 0
    total = repo.relay("stats", "--json").json["data"]["total"]
    assert (total["calls"], total["pending"], total["done"], total["error"]) == (4, 1, 3, 0)
    assert total["checks"] == {
        "checked": 3,
        "agreed": 1,
        "claimed_pass_failed": 1,
        "claimed_fail_passed": 1,
        "no_claim": 0,
        "unknown": 0,
    }
    assert total["duration_s"]["known"] == 3
    assert total["cost_usd"] == {"known": 0, "total": None}


# -- for any history ----------------------------------------------------------------------------------

amounts = st.one_of(st.integers(0, 10**6).map(str), st.sampled_from(["", "nan", "inf", "-1", "1e400", "x", "0.5"]))
checks_ = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["pass", "fail (exit 1)", "timeout", "lost"])), max_size=4
)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    commit = Commit("a" * 40, draw(st.integers(0, 2_000_000_000)), "", {"Relay-To": draw(st.sampled_from("xyz"))})
    address = Address(draw(st.sampled_from(["s", "t"])), "01")
    if draw(st.booleans()) and draw(st.booleans()):
        return Exchange(address, commit, None)
    status = draw(st.sampled_from(["done", "error"]))
    trailers = {
        "Relay-Status": status,
        "Relay-Verify": draw(st.sampled_from(["pass", "fail", "skip"])),
        "Relay-Duration": draw(amounts),
        "Relay-Usage": f"input={draw(amounts)} cached={draw(amounts)} output={draw(amounts)} cost_usd={draw(amounts)}",
        "Relay-Model": draw(st.sampled_from(["m", ""])),
    }
    checks = tuple(Check(command, word, commit) for command, word in draw(checks_))
    return Exchange(address, commit, Commit("b" * 40, commit.time, "", trailers), checks=checks)


def summed(groups: list[Figures]) -> dict[str, Any]:
    """What adds up of several groups' figures."""
    reasons: Counter[str] = Counter()
    for group in groups:
        reasons.update(group.reasons)
    known = [a for g in groups for a in (g.cost,) if a.total is not None]
    return {
        "counts": [sum(getattr(g, name) for g in groups) for name in ("calls", "pending", "done", "error", "redacted")],
        "reasons": reasons,
        "verify": [sum(g.verify[word] for g in groups) for word in ("pass", "fail", "skip")],
        "checks": [sum(values) for values in zip(*(vars(g.checks).values() for g in groups), strict=True)],
        "durations": sum(g.duration.known for g in groups),
        "seconds": math.fsum(g.duration.total or 0 for g in groups),
        "tokens": [sum(g.tokens[name].total or 0 for g in groups) for name in figures.TOKENS],
        "cost": sum((a.total or Decimal(0) for a in known), Decimal(0)) if known else None,
    }


@given(st.lists(exchanges(), min_size=1, max_size=30), st.sampled_from(sorted(figures.GROUPS)))
def test_groups_add_up_to_the_total(found: list[Exchange], by: str) -> None:
    total = figures.figures(found)
    groups = figures.grouped(found, by)
    together, parts = summed([total]), summed(groups)
    assert math.isclose(together.pop("seconds"), parts.pop("seconds"), rel_tol=1e-9)
    assert together == parts
    assert len({g.group for g in groups}) == len(groups)
    assert total.calls == len(found) == total.pending + total.done + total.error
    checks = total.checks
    assert checks.checked == (
        checks.agreed + checks.claimed_pass_failed + checks.claimed_fail_passed + checks.no_claim + checks.unknown
    )
    assert sum(total.reasons.values()) == total.error and sum(total.verify.values()) == total.done


@given(st.lists(exchanges(), max_size=40))
def test_percentiles_are_values_that_occurred_in_their_order(found: list[Exchange]) -> None:
    spread = figures.figures(found).duration
    values = []
    for e in found:
        text = e.response.trailers["Relay-Duration"] if e.response else ""
        if text.replace(".", "", 1).isdecimal():
            values.append(float(text))
    assert spread.known == len(values)
    if not values:
        assert spread.total is spread.min is spread.p50 is spread.p99 is spread.max is None
        return
    ranks = [spread.min, spread.p50, spread.p90, spread.p99, spread.max]
    assert ranks == sorted(ranks, key=lambda v: v or 0.0) and set(ranks) <= set(values)
    for percent, value in ((50, spread.p50), (90, spread.p90), (99, spread.p99)):
        assert value is not None
        assert sum(v <= value for v in values) * 100 >= percent * len(values)
        assert sum(v < value for v in values) * 100 < percent * len(values)
