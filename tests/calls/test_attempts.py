"""Attempts side by side: each in its own workspace, compared, one picked, and nobody paid twice."""

from __future__ import annotations

import signal

from support.ledgercheck import assert_all_valid
from support.repo import Repo
from support.waiting import eventually, patient

ASK = ("req", "--from", "uma", "--to", "shell")
# each attempt knows its number from the folder it works in
MINE = "n=$(basename $PWD | sed 's/.*-//'); "


def count(repo: Repo) -> int:
    return len(repo.sh("cat ../count 2>/dev/null || true").split())


def test_the_best_of_three_is_picked_and_applied(repo: Repo) -> None:
    repo.sh("printf '1\\n2\\n3\\n4\\n' > f.txt; git add .; git commit -qm f")
    does = MINE + "echo x >> ../../../../count; [ $n = 1 ] && sed -i 's/./x/' f.txt || echo 5 >> f.txt; [ $n != 3 ]"
    asked = (*ASK, "--attempts", "3", "--check", "grep -q 4 f.txt || grep -q x f.txt", "--name", "faster", "--key", "k")
    done = repo.relay(*asked, "--pick", "smallest", does)
    assert done.code == 0, done.out + done.err
    assert "Picked: faster-shell-2/01 (smallest: 1 lines changed)" in done.out
    assert repo.git("status", "--porcelain") == ""
    table = repo.relay("compare", "faster", "--json").json["data"]["attempts"]
    assert [(one["address"], one["outcome"], one["picked"]) for one in table] == [
        ("faster-shell-1/01", "pass", False),
        ("faster-shell-2/01", "pass", True),
        ("faster-shell-3/01", "fail", False),
    ]
    assert table[0]["added"] == table[0]["deleted"] == 4 and table[2]["equal_to"] == "faster-shell-2/01"
    shown = repo.relay("compare", "faster").out.splitlines()
    assert shown[0].split()[:3] == ["N", "ATTEMPT", "OUTCOME"] and shown[2].split()[:3] == [
        "2",
        "*",
        "faster-shell-2/01",
    ]
    assert "= faster-shell-2/01" in shown[3]
    diff = repo.relay("compare", "faster", "--diff", "1", "faster-shell-2").out
    assert "-x" in diff and "+5" in diff
    page = repo.path.parent / "page.html"
    assert repo.relay("export", "faster", "-o", str(page)).code == 0
    sides = page.read_text().split('<article class="side"')[1:]
    assert [side.partition('aria-label="')[2].partition('"')[0] for side in sides] == [
        "faster-shell-1/01",
        "faster-shell-2/01",
        "faster-shell-3/01",
    ]
    assert "+x" in sides[0] and "+5" in sides[1] and "The same files as faster-shell-2/01" in sides[2]
    assert ["Picked: smallest" in side or "picked</span>" in side for side in sides] == [False, True, False]
    again = repo.relay(*asked, "--pick", "smallest", does)
    assert again.code == 0 and again.raw == done.raw and count(repo) == 3
    assert repo.relay("apply", "faster").code == 0 and repo.sh("cat f.txt") == "1\n2\n3\n4\n5\n"
    other = repo.relay(*ASK, "--attempts", "2", "--name", "faster", "true")
    assert other.code == 6 and "git relay wait faster" in other.err
    assert repo.relay("fsck").code == 0
    assert_all_valid(repo)


def test_nobody_is_picked_if_none_passed_and_the_first_ends_the_others(repo: Repo) -> None:
    none = repo.relay(*ASK, "--attempts", "2", "--pick", "check", "--check", "false", "--name", "bad", "true")
    assert none.code == 1 and "Picked: none (none passed its checks)" in none.out
    assert repo.relay("apply", "bad").code == 2
    repo.git("config", "relay.parallel", "2")
    does = MINE + "[ $n = 2 ] || exec sleep 300"
    first = repo.relay(*ASK, "--attempts", "3", "--first", "--name", "race", does)
    assert first.code == 0 and "Picked: race-shell-2/01" in first.out
    attempts = repo.relay("compare", "race", "--json").json["data"]["attempts"]
    assert [one["outcome"] for one in attempts] == ["error:cancelled", "pass"]  # the third was not asked
    bad = repo.relay(*ASK, "--attempts", "2", "--pick", "best", "true")
    assert bad.code == 2 and "best" in bad.err
    assert repo.relay("compare", "nothing").code == 2 and repo.relay("compare", "race-shell-2").code == 2


def test_an_interrupted_group_goes_on_and_asks_nobody_twice(repo: Repo) -> None:
    repo.git("config", "relay.parallel", "1")
    does = "echo x >> ../../../../count; until test -f ../../../../go; do sleep 0.05; done"
    started = repo.start(*ASK, "--attempts", "3", "--name", "g", does)
    assert eventually(lambda: count(repo) == 1)
    started.send_signal(signal.SIGKILL)
    started.wait(patient(30))
    started.communicate()
    assert repo.relay("wait", "g", "--timeout", "1ms").code == 8
    repo.sh("touch ../go")
    done = repo.relay("wait", "g")
    assert done.code == 0, done.out + done.err
    assert count(repo) == 3 and done.out.count("| pass |") == 3
    assert repo.relay("wait", "g").raw == done.raw
    detached = repo.relay(*ASK, "--attempts", "2", "-d", "--name", "d", "true")
    assert detached.out == "d/01\n" and repo.relay("wait", "d").code == 0
    assert_all_valid(repo)


def test_readers_are_enough_at_a_quorum_and_a_judge_writes_one_answer(repo: Repo) -> None:
    script = repo.path.parent / "reader.sh"
    script.write_text("cat > ../said-$1; [ $1 != slow ] || exec sleep 300; echo answer of $1: pick: 2\n")
    for name in ("one", "two", "slow", "chair"):
        repo.git("config", f"relay.{name}.command", f"sh {script} {name} {{access}}")
        repo.git("config", f"relay.{name}.plain", "true")
    repo.git("config", "relay.parallel", "3")
    to = ("--to", "one", "--to", "two", "--to", "slow")
    asked = ("req", "--from", "uma", *to, "--access", "read", "--quorum", "2", "--judge", "chair", "--name", "q")
    done = repo.relay(*asked, "Is it sound?")
    assert done.code == 0, done.out + done.err
    assert "answer of chair" in done.out and "q-slow/01" in done.out and "error:cancelled" in done.out
    said = repo.sh("cat ../said-chair")
    assert "q-one/01 (one):" in said and "> answer of two" in said and "> Is it sound?" in said
    judged = (*ASK, "--attempts", "2", "--pick", "judge:chair", "--name", "p")
    picked = repo.relay(*judged, MINE + "echo $n > n.txt")
    assert picked.code == 0 and "Picked: p-shell-2/01 (judge: chair chose it, see p-judge/01)" in picked.out
    assert "git diff" in repo.sh("cat ../said-chair") and "echo $n" in repo.sh("cat ../said-chair")
    assert_all_valid(repo)
