"""Many sessions at once: in few git processes, and whatever their refs are made to name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitrelay.errors import UsageError
from gitrelay.history import batch
from gitrelay.history import exchanges as history
from gitrelay.ledger.ledger import Ledger, open_ledger
from gitrelay.protocol.names import Address
from support.repo import Repo

# `session NAME TURNS [CHECKS]` makes a branch with so many answered turns, and checks behind the last one
SESSIONS = """
commit() { # SUBJECT FILE CONTENT TRAILER...
  subject=$1; file=$2; content=$3; shift 3
  blob=$(printf '%s\\n' "$content" | git hash-object -w --stdin)
  { test -z "$tip" || git ls-tree $tip; test -z "$file" || printf '100644 blob %s\\t%s\\n' $blob $file; } >../entries
  tree=$(git mktree <../entries)
  tip=$(printf '%s\\n' "$subject" '' "$@" | git commit-tree $tree ${tip:+-p $tip})
}
session() {
  tip=; commit "open $1" '' '' 'Relay-Version: 4'
  for i in $(seq 1 $2); do
    id=$(printf %02d $i)
    commit "req $id uma -> shell: $1" $id.req.md "asked $1 $id" "Relay-Id: $id" 'Relay-From: uma' 'Relay-To: shell'
    commit "res $id shell -> uma: done" $id.res.md "answered $1 $id" "Relay-Id: $id" 'Relay-From: shell' \\
      'Relay-To: uma' 'Relay-Status: done' 'Relay-Verify: pass'
  done
  for i in $(seq 1 ${3:-0}); do commit "chk $id pass: true" '' '' "Relay-Id: $id" 'Relay-Check: pass: true'; done
  git update-ref refs/heads/relay/$1 $tip
}
"""


def read(repo: Repo, *sessions: str, bodies: bool = False) -> batch.Batch:
    return batch.read(open_ledger(repo.path), sessions, bodies=bodies)


def addresses(found: batch.Batch) -> list[str]:
    return sorted(str(e.address) for e in found.exchanges)


@pytest.fixture
def counted(tmp_path: Path, env: dict[str, str]) -> dict[str, str]:
    """An environment in which every git process leaves a line in the file $COUNT."""
    folder = tmp_path / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(f'#!/bin/sh\necho "$@" >>"$COUNT"\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    return {"PATH": f"{folder}:{env['PATH']}", "COUNT": str(tmp_path / "count")}


def test_the_number_of_git_processes_does_not_grow_with_the_sessions(repo: Repo, counted: dict[str, str]) -> None:
    repo.sh(SESSIONS + "for n in a b c; do session $n 2 1; done; session d 1; session e 0")
    seen = Path(counted["COUNT"])

    def processes(*args: str) -> int:
        seen.write_text("")
        done = repo.relay(*args, env=counted)
        assert done.code == 0, done.err
        return len(seen.read_text().splitlines())

    verbs = (["ls"], ["log"], ["log", "a"], ["show", "a"], ["show", "a/01"], ["stats"], ["status", "--all"])
    before = [processes(*verb) for verb in verbs]
    repo.sh(SESSIONS + "for n in $(seq 20); do session f$n 5 $((n % 7)); done; session a 30 1")
    repo.sh(SESSIONS + "for n in $(seq 20); do session g$n 1; git update-ref refs/heads/relay/g$n $tip~1; done")
    # with more checks behind an answer than are looked at first, 'ls' reads whole lines in one process more, and
    # 'status --all' then has exchanges to show
    assert [processes(*verb) for verb in verbs] == [before[0] + 1, *before[1:-1], before[-1] + 3]
    assert max(before) <= 7  # three of them 'git version'
    assert len(repo.relay("log").out.splitlines()) == 1 + 30 + 2 + 2 + 1 + 20 * 5 + 20


@pytest.mark.fast
def test_all_sessions_read_as_each_alone(repo: Repo) -> None:
    repo.sh(SESSIONS + "session a 3 2; session b 1; session old 2; session empty 0")
    assert repo.relay("archive", "old").code == 0
    found = read(repo, bodies=True)
    ledger = open_ledger(repo.path)
    assert list(found.sessions) == ["a", "b", "empty", "old"] and found.archived == {"old"} and not found.damaged
    for name, exchanges in found.sessions.items():
        assert list(exchanges) == history.exchanges(ledger, name, bodies=True)
    assert [e.request_data for e in found.sessions["old"]] == [b"asked old 01\n", b"asked old 02\n"]
    assert found.sessions["a"][2].response_data == b"answered a 03\n"
    assert addresses(read(repo, "b", "b", "old")) == ["b/01", "old/01", "old/02"]
    with pytest.raises(UsageError, match="no session 'nothing'"):
        read(repo, "a", "nothing")
    with pytest.raises(UsageError, match="is not a slug"):
        read(repo, "a", "../b")


def test_the_listing_stays_the_same_until_a_session_moves(repo: Repo) -> None:
    ledger: Ledger = open_ledger(repo.path)
    assert batch.listing(ledger) == "" and addresses(read(repo)) == []
    repo.sh(SESSIONS + "session a 1")
    before = batch.listing(ledger)
    repo.sh("git commit -q --allow-empty -m elsewhere; git tag relay/a; git gc -q")
    assert batch.listing(ledger) == before == read(repo).listing
    assert repo.relay("archive", "a").code == 0
    archived = batch.listing(ledger)
    assert archived != before
    repo.sh(SESSIONS + "session a 2")
    assert batch.listing(ledger) not in (before, archived)


def test_refs_that_name_something_else_do_not_break_the_others(repo: Repo) -> None:
    repo.sh(SESSIONS + "session good 2 1; session twin 1; session merged 1")
    repo.sh("""
    git update-ref refs/heads/relay/Bad_Name relay/good
    git update-ref refs/heads/relay/deep/er relay/good
    git update-ref "refs/heads/relay/$(printf 'x\\342\\200\\250fake')" relay/good   # U+2028 ends a line for some
    git update-ref refs/heads/relay/double relay/good            # two refs at one commit
    git update-ref refs/heads/relay/before relay/good~2          # and one in the middle of it
    git update-ref refs/heads/relay/users main                   # the user's own commits
    git update-ref refs/heads/relay/joined $(
      printf 'Merge\\n\\nRelay-Id: 07\\n' | git commit-tree main^{tree} -p relay/merged -p main -p relay/good)
    git update-ref refs/relay/archive/blob $(git rev-parse main:app.py)
    git update-ref refs/relay/archive/tree main^{tree}
    git tag -a -m 'a tag' tagged relay/good; git update-ref refs/relay/archive/tag tagged
    git update-ref refs/relay/archive/twin relay/good            # archived and a branch: the branch is read
    git symbolic-ref refs/heads/relay/alias refs/heads/relay/good
    git symbolic-ref refs/heads/relay/dangling refs/heads/relay/none
    { printf 'tree %s\\nauthor a <a> 1 +0000\\n' $(git write-tree)
      printf 'committer a <a> 99999999999999999999 +0000\\n\\nreq 01 x\\0\\n\\nRelay-Id: 01\\n'; } |
      git hash-object -t commit -w --stdin --literally >../odd
    git update-ref refs/heads/relay/odd $(cat ../odd)
    """)
    big = "x" * 3_000_000
    (repo.path / "big").write_text(f"req 01 uma -> shell: {big}\n\n{big}\n\nRelay-Id: 01\nRelay-To: shell\n")
    repo.sh("git update-ref refs/heads/relay/huge $(git commit-tree $(git mktree </dev/null) -F big)")
    found = read(repo)
    expected = {
        "alias": 2,
        "before": 2,
        "blob": 0,
        "double": 2,
        "good": 2,
        "huge": 1,
        "joined": 1,
        "merged": 1,
        "odd": 0,
        "tag": 0,
        "tree": 0,
        "twin": 1,
        "users": 0,
    }
    assert {name: len(exchanges) for name, exchanges in found.sessions.items()} == expected
    assert found.damaged == {}
    assert found.sessions["before"][1].response is None and found.sessions["double"][1].response is not None
    for verb in (["log"], ["stats"], ["stats", "--by", "day"], ["ls"], ["status", "--all"], ["log", "huge"]):
        done = repo.relay(*verb)
        assert done.code == 0, (verb, done.err)
        assert "Bad_Name" not in done.out
        assert repo.relay(*verb, "--json").code == 0


def test_more_sessions_than_an_argument_list_should_hold(repo: Repo) -> None:
    repo.sh(SESSIONS + "session a 2 1; for i in $(seq 1100); do echo create refs/heads/relay/m$i $tip; done >../refs")
    repo.sh("git update-ref --stdin <../refs")
    found = read(repo)
    assert len(found.sessions) == 1101 and {len(exchanges) for exchanges in found.sessions.values()} == {2}
    assert len(repo.relay("ls").out.splitlines()) == 1102


def test_ls_shows_the_others_beside_damaged_sessions(repo: Repo) -> None:
    repo.sh(SESSIONS + "for n in a b; do session $n 1; session c$n 1 1; done; session tip 1; session behind 1 1")
    repo.sh('for n in tip behind~1; do git rev-parse relay/$n | sed "s,..,.git/objects/&/," | xargs rm -f; done')
    done = repo.relay("ls", "--json")
    rows = {row["session"]: row["status"] for row in done.json["data"]}
    assert rows == dict.fromkeys(("a", "b", "ca", "cb"), "done") | {"tip": "damaged", "behind": "damaged"}
    assert done.code == 7 and len(done.json["errors"]) == 2
    told = repo.relay("ls", "--open")
    assert told.code == 7 and told.err.count("\n") == 2 and "session tip cannot be read" in told.err
    assert len(told.out.splitlines()) == 7
    assert repo.relay("close", "--idle", "1s").code == 0


@pytest.mark.parametrize(
    "damage",
    [
        "rm -f $(object relay/bad~1)",  # a commit in the middle is gone
        "f=$(object relay/bad~1); chmod u+w $f; printf xx >$f",  # or cannot be read
    ],
)
def test_a_damaged_session_does_not_hide_the_others(repo: Repo, damage: str) -> None:
    repo.sh(SESSIONS + "for n in a b bad c d; do session $n 1; done")
    repo.sh(f'object() {{ git rev-parse $1 | sed "s,..,.git/objects/&/,"; }}\n{damage}')
    found = read(repo, bodies=True)
    assert addresses(found) == ["a/01", "b/01", "c/01", "d/01"] and list(found.damaged) == ["bad"]
    for verb in ("log", "stats"):
        done = repo.relay(verb)
        assert done.code == 7 and "bad: " in done.err and done.err.count("\n") == 1
        assert ("a/01" in done.out) if verb == "log" else ("calls" in done.out)
        value = repo.relay(verb, "--json").json
        assert value["exit_code"] == 7 and value["data"] and len(value["errors"]) == 1


def test_a_missing_message_takes_only_its_session(repo: Repo) -> None:
    repo.sh(SESSIONS + "session a 2; session bad 2; session c 1")
    repo.sh('git rev-parse relay/bad:01.res.md | sed "s,..,.git/objects/&/," | xargs rm -f')
    assert addresses(read(repo)) == ["a/01", "a/02", "bad/01", "bad/02", "c/01"]
    found = read(repo, bodies=True)
    assert addresses(found) == ["a/01", "a/02", "c/01"] and list(found.damaged) == ["bad"]


def test_ls_tells_how_a_session_stands_behind_its_checks(repo: Repo) -> None:
    """The last commit is a check's; what it is about is told further back."""
    chk = (
        'commit "chk $1 $2" "" "" "Relay-Id: $1" "Relay-Check: $2: ${3:-true}"; git update-ref refs/heads/relay/$s $tip'
    )
    repo.sh(
        SESSIONS
        + f"chk() {{ {chk}; }}\n"
        + """
        s=passed; session $s 2; chk 02 pass
        s=failed; session $s 2; chk 02 'fail (exit 1)' make; chk 02 pass
        s=mended; session $s 2; chk 02 'fail (exit 1)'; chk 02 pass
        s=older; session $s 3; chk 01 'fail (exit 1)'
        s=many; session $s 1; chk 01 timeout first; for i in $(seq 9); do chk 01 pass; done
        s=nothing; tip=; chk 01 pass
        s=short; tip=; commit 'req 01 uma -> shell: x' '' '' 'Relay-Id: 01' 'Relay-From: uma' 'Relay-To: shell'
        chk 01 pass
        """
    )
    rows = {row["session"]: row for row in repo.relay("ls", "--json").json["data"]}
    stand = {name: (row["turns"], row["status"], row["verify"]) for name, row in rows.items()}
    assert stand == {
        "passed": (2, "done", "pass"),
        "failed": (2, "done", "fail"),
        "mended": (2, "done", "pass"),
        "older": (3, "done", "pass"),
        "many": (1, "done", "fail"),
        "nothing": (0, "unknown", None),
        "short": (1, "pending", None),
    }
    assert rows["passed"]["from"] == "uma" and rows["passed"]["to"] == "shell"
    for name, row in rows.items():
        alone = repo.relay("log", name, "--reverse", "--json").json["data"]
        assert row["status"] == (alone[-1]["status"] if alone else "unknown")


def test_one_exchange_of_a_long_session_reads_as_the_whole_session_does(repo: Repo) -> None:
    """Only the end of the branch is read for it, and a later commit that says the same id does not take its place."""
    repo.sh(f"{SESSIONS}\nsession long 33")
    ledger = open_ledger(repo.path)
    every = {e.address.id: e for e in history.exchanges(ledger, "long", bodies=True)}
    for id_ in ("01", "20", "33"):
        assert history.exchange(ledger, Address("long", id_)) == every[id_]
    repo.sh(
        f"{SESSIONS}\ntip=$(git rev-parse relay/long)\n"
        "commit 'req 01 eve -> shell: forged' x.md forged 'Relay-Id: 01' 'Relay-From: eve' 'Relay-To: shell'\n"
        "git update-ref refs/heads/relay/long $tip"
    )
    assert history.exchange(ledger, Address("long", "01")) == every["01"]
    with pytest.raises(UsageError, match="its last is long/33"):
        history.exchange(ledger, Address("long", "34"))
