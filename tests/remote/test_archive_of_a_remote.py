"""Finished sessions lose their refs at the remote, and nothing else: what reads a remote still finds them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelay.errors import CannotRecord
from gitrelay.ledger.ledger import open_ledger
from gitrelay.protocol.record import BRANCHES
from gitrelay.remote.queue import archiving, finished
from gitrelay.remote.queue.jobs import Update
from gitrelay.remote.queue.wire import Outcome, Wire
from support import httpgit
from support.queues import Hub
from support.repo import Repo, with_one_commit

ARCHIVE = ("queue", "--archive", "--idle", "1ms")
INDEX, KEPT = finished.INDEX, finished.KEPT


@pytest.fixture
def two(tmp_path: Path, env: dict[str, str]) -> tuple[Repo, Repo]:
    """Two clones of a remote."""
    one = with_one_commit(tmp_path, env)
    one.git("config", "relay.share", "always")
    one.sh("git clone -q --bare . ../hub.git; git remote add origin ../hub.git; git clone -q ../hub.git ../far")
    return one, Repo(tmp_path / "far", env)


def refs(repo: Repo) -> list[str]:
    return [ref for ref in repo.git("ls-remote", "origin").split()[1::2] if "relay" in ref]


def ask(repo: Repo, session: str, task: str, *more: str) -> None:
    done = repo.relay("req", "--to", "shell", "--session", session, *more, task)
    assert done.code == 0, done.err


def test_archived_sessions_are_read_and_go_on(two: tuple[Repo, Repo]) -> None:
    one, far = two
    for name in ("a", "b"):
        ask(one, name, f"echo {name} > made.txt; echo said {name}")
    assert one.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "open", "true").code == 0
    assert one.relay("push", "origin", "a", "b").code == 0
    before = refs(one)
    dry = one.relay(*ARCHIVE, "--dry-run", "--json").json["data"]
    assert dry["archived"] == ["a", "b"] and "queue" in dry["left"]["open"] and refs(one) == before
    done = one.relay(*ARCHIVE)
    assert (done.code, done.out) == (0, "a\nb\n"), done.err
    left = [ref for ref in refs(one) if "/queue/" not in ref]
    assert left == ["refs/heads/relay/open", "refs/relay/code/open", INDEX, KEPT]
    assert one.relay(*ARCHIVE).out == ""
    # the clone that has them, and one that has not
    pushed = one.relay("push")
    assert pushed.code == 0 and refs(one)[:1] == ["refs/heads/relay/open"], pushed.err
    assert one.relay("fetch").code == 0
    assert far.relay("fetch").code == 0
    assert "said b" in far.relay("show", "b").out and "+b" in far.relay("diff", "b/01").out
    assert far.git("for-each-ref", "--format=%(refname)", "refs/relay/archive").split() == [
        "refs/relay/archive/a",
        "refs/relay/archive/b",
    ]
    # going on brings it back, with all that it had
    ask(one, "a", "echo more")
    assert one.relay("push", "origin", "a").code == 0
    assert "refs/heads/relay/a" in refs(one)
    assert far.relay("fetch", "origin", "a").code == 0
    assert "more" in far.relay("show", "a/02").out
    # and it may end again
    assert one.relay(*ARCHIVE).out == "a\n"
    third = Repo(one.path.parent / "third", one.env)
    one.sh("git clone -q ../hub.git ../third")
    assert third.relay("fetch", "origin", "a").code == 0
    assert "more" in third.relay("show", "a/02").out
    for repo in (one, far, third):
        assert repo.relay("fsck").code == 0


def test_a_clone_that_is_behind_is_refused(two: tuple[Repo, Repo]) -> None:
    """It went on elsewhere before it was archived: neither a push nor a call makes a second session of that name."""
    one, far = two
    ask(one, "s", "echo one")
    assert one.relay("push").code == 0 and far.relay("fetch").code == 0
    ask(far, "s", "echo two")
    assert far.relay("push", "--yes", "origin", "s").code == 0
    archived_by = far.relay(*ARCHIVE)
    assert archived_by.out == "s\n", archived_by.err
    call = ("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo other")
    refused = one.relay(*call)
    assert refused.code == 1 and "has gone on at origin" in refused.err, refused.err
    assert "git relay fetch origin s" in refused.err
    ask(one, "s", "echo mine")
    refused = one.relay("push", "origin", "s")
    assert refused.code == 1 and "went on here and on origin" in refused.err, refused.err
    taken = one.relay("fetch", "origin", "--take", "s")
    assert taken.code == 0 and "s-mine" in taken.err, taken.err
    assert "two" in one.relay("show", "s/02").out
    assert one.relay("archive", "--restore", "s").code == 0
    asked = one.relay(*call)
    assert (asked.code, asked.out) == (0, "s/03\n"), asked.err
    assert "refs/heads/relay/s" in refs(one)


def test_an_answer_that_is_archived_before_it_was_read_is_taken(two: tuple[Repo, Repo]) -> None:
    one, far = two
    assert one.relay("req", "--on", "origin", "-d", "--to", "shell", "--session", "s", "echo hi > made.txt").code == 0
    assert far.relay("worker", "--remote", "origin", "--peers", "shell", "--once", "--unsigned").code == 0
    archived_by = far.relay(*ARCHIVE)
    assert archived_by.out == "s\n", archived_by.err
    done = one.relay("wait", "s/01")
    assert done.code == 0 and "+hi" in one.relay("diff", "s/01").out, done.err
    assert refs(one) == [INDEX, KEPT], "it was not sent again"


def finished_on(hub: Hub, *names: str) -> Wire:
    """A wire to the hub, which has finished sessions of those names."""
    uma = hub.machine("uma")
    for name in names:
        tip = uma.commit([], f"res 01 {name}\n\nRelay-Id: 01")
        assert uma.wire.swap([Update(BRANCHES + name, "", tip)]).outcome == Outcome.WON
    return uma.wire


def archived(wire: Wire) -> archiving.Archived:
    return archiving.archive(open_ledger(wire.repo.place), wire, 0.0, dry=False, tell=lambda words: None)


def test_a_server_that_forbids_deletions_is_named(hub: Hub) -> None:
    """Nothing is half done there."""
    hub.git("config", "receive.denyDeletes", "true")
    wire = finished_on(hub, "s")
    with pytest.raises(CannotRecord, match="deletion prohibited") as raised:
        archived(wire)
    assert "denyDeletes" in str(raised.value.hint)
    assert hub.refs() == [BRANCHES + "s"]


def test_a_session_that_goes_on_meanwhile_is_left_alone(hub: Hub) -> None:
    """The hub itself moves one while the push is on its way."""
    wire = finished_on(hub, "s", "t")
    machine = hub.machine("uma")
    more = machine.commit([machine.wire.look(f"{BRANCHES}s*")[BRANCHES + "s"]], "req 02 s\n\nRelay-Id: 02")
    assert machine.wire.swap([Update("refs/more/x", "", more)]).outcome == Outcome.WON
    move = f"unset GIT_QUARANTINE_PATH; git update-ref {BRANCHES}s {more}"
    hub.hook("pre-receive", f"[ -e moved ] && exit 0; touch moved; {move}")
    found = archived(wire)
    assert (found.sessions, found.left) == (["t"], {"s": "it went on meanwhile"})
    assert BRANCHES + "s" in hub.refs() and BRANCHES + "t" not in hub.refs()


def test_a_claim_costs_little_after_the_archive(hub: Hub) -> None:
    """Bytes down at the server: every ref of a remote is named to whoever pushes."""
    hub.git("config", "http.receivepack", "true")
    wire = finished_on(hub)
    names = [f"s{n}" for n in range(150)]
    uma = hub.machine("uma")
    tips = [uma.commit([], f"res 01 {n}\n\nRelay-Id: 01") for n in range(3)]
    keep = [Update(f"refs/keep/{n}", "", tip) for n, tip in enumerate(tips)]
    assert uma.wire.swap(keep).outcome == Outcome.WON
    lines = "".join(f"create {BRANCHES}{name} {tips[n % 3]}\n" for n, name in enumerate(names))
    subprocess.run(["git", "-C", str(hub.path), "update-ref", "--stdin"], input=lines, text=True, check=True)
    with httpgit.serving(hub.path.parent) as server:
        there = replace(hub, url=f"{server.url}/hub.git")
        a, b = there.machine("a"), there.machine("b")

        def claim(session: str) -> int:
            hub.machine("uma").request(session)
            server.sizes.clear()
            assert a.queue.take(["codex"], 0) is not None
            return sum(down for _, _, down in server.sizes)

        before = claim("x")
        assert before > 150 * 60
        assert archived(wire).sessions == sorted(names)
        assert claim("y") < 4000
        assert set(finished.read(b.wire).sessions) == {*names}
