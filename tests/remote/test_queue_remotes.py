"""What a remote cannot do is found out before a request depends on it, and said by its name (case 29)."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from gitrelay.errors import Code, UsageError
from gitrelay.git.repository import Repository
from gitrelay.remote.queue import abilities, text
from gitrelay.remote.queue.jobs import Job, Unreachable, Update
from gitrelay.remote.queue.text import State, Strange
from gitrelay.remote.queue.wire import Outcome, url_of
from gitrelay.state.folder import State as Folder
from support.queues import Hub

UNFIT = {
    "hidden": ("transfer.hideRefs", "refs/relay/queue", "half of an atomic push"),
    "all hidden": ("transfer.hideRefs", "refs/relay", "takes no atomic push"),
    "no atomic": ("receive.advertiseAtomic", "false", "does not support --atomic"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_remote_that_cannot_hold_a_queue_is_refused(hub: Hub, kind: str) -> None:
    name, value, words = UNFIT[kind]
    hub.git("config", name, value)
    uma = hub.machine("uma")
    state = Folder(uma.repo.common_dir)
    with pytest.raises(UsageError, match=words) as raised:
        abilities.require(state, uma.wire)
    assert raised.value.code == Code.UNFIT_REMOTE
    known = abilities.known_of(state, uma.wire.url)
    assert known is not None and words in known.why
    hub.git("config", "--unset", name)
    assert hub.refs() == [], "nothing of the probe is left"
    abilities.require(state, uma.wire)
    assert hub.refs() == []
    hub.path.rename(hub.path.with_name("away.git"))
    abilities.require(state, uma.wire)  # it is known, and not asked again


def test_a_server_for_branches_only_is_refused(hub: Hub) -> None:
    hub.hook("update", 'case "$1" in refs/heads/*) exit 0;; esac; echo "illegal branch name" >&2; exit 1')
    uma = hub.machine("uma")
    assert "takes no atomic push" in abilities.probe(uma.wire)
    gone = replace(hub, url=str(hub.folder / "nothing.git")).machine("b")
    with pytest.raises(Unreachable, match="does not appear to be a git repository"):
        abilities.probe(gone.wire)


def test_a_remote_has_one_url(hub: Hub) -> None:
    uma = hub.machine("uma")
    with pytest.raises(UsageError, match="there is no remote 'origin'"):
        url_of(uma.repo, "origin")
    git = ["git", "-C", str(uma.repo.top)]
    subprocess.run([*git, "remote", "add", "origin", hub.url], check=True)
    assert url_of(Repository.open(uma.repo.place), "origin") == hub.url
    subprocess.run([*git, "config", "remote.origin.pushurl", "/elsewhere"], check=True)
    with pytest.raises(UsageError, match="read at one address and written at another"):
        url_of(Repository.open(uma.repo.place), "origin")


def test_what_a_person_has_set_for_pushes_changes_nothing(hub: Hub) -> None:
    """Hooks, tags that follow, signed pushes, mirrors and refspecs of the clone."""
    uma = hub.machine("uma")
    for name, value in {
        "push.gpgSign": "true",
        "push.followTags": "true",
        "push.recurseSubmodules": "check",
        "fetch.prune": "true",
        "remote.origin.mirror": "true",
        "remote.origin.url": hub.url,
        "protocol.version": "0",
    }.items():
        subprocess.run(["git", "-C", str(uma.repo.top), "config", name, value], check=True)
    hook = uma.repo.common_dir / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    job = uma.request("s")
    assert hub.refs() == ["refs/heads/relay/s", text.ref_of(job)]


def test_a_ref_that_is_no_job_is_counted_and_left_alone(hub: Hub) -> None:
    uma, a = hub.machine("uma"), hub.machine("a")
    job = uma.request("s")
    entry = uma.refs.entry(job)
    assert entry is not None
    other = text.ref_of(replace(job, prio=0))
    stranger = uma.commit([], "relay queue: open\n\nRelay-Queue: 1")
    refs = [(other, entry.tip), (f"{text.QUEUE}codex/x", stranger), (f"{text.QUEUE}codex/a/b", stranger)]
    for ref, oid in refs:
        assert uma.wire.swap([Update(ref, "", oid)]).outcome == Outcome.WON
    assert [found.state.job for found in a.refs.poll(["codex"])] == [job]
    assert a.queue.strange == 3
    assert a.refs.entry(job) is not None
    assert set(hub.refs()) >= {ref for ref, _ in refs}


TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
JOB = Job("0" * 26, "codex", 5, "s", "1" * 40)
CLAIM = State("claim", JOB, "w", 1, 60.0, 7)


def _raw(state: State, message: str | None = None, parents: int = 1, tree: str = TREE) -> bytes:
    who = "A <a@example.invalid> 7 +0000"
    above = f"parent {'2' * 40}\n" * parents
    return f"tree {tree}\n{above}author {who}\ncommitter {who}\n\n{message or text.render(state)}".encode()


def test_the_text_of_the_queue_is_read_strictly() -> None:
    ref, good = text.ref_of(JOB), text.render(CLAIM)
    assert text.parse(ref, _raw(CLAIM), TREE) == CLAIM
    bad = {
        "another ref": (ref.replace("codex", "claude"), _raw(CLAIM)),
        "no ref of a job": (ref + "/x", _raw(CLAIM)),
        "two parents": (ref, _raw(CLAIM, parents=2)),
        "an open job with a parent": (ref, _raw(State("open", JOB))),
        "files": (ref, _raw(CLAIM, tree="3" * 40)),
        "a field more": (ref, _raw(CLAIM, good + "Relay-More: 1\n")),
        "a field twice": (ref, _raw(CLAIM, good.replace("Relay-Epoch: 1", "Relay-Epoch: 1\nRelay-Epoch: 2"))),
        "another order": (
            ref,
            _raw(CLAIM, good.replace("Relay-Epoch: 1\nRelay-Lease: 60", "Relay-Lease: 60\nRelay-Epoch: 1")),
        ),
        "no lease": (ref, _raw(CLAIM, good.replace("Lease: 60", "Lease: 0"))),
        "a lease of weeks": (ref, _raw(CLAIM, good.replace("Lease: 60", "Lease: 99999"))),
        "an escape": (ref, _raw(CLAIM, good.replace("Worker: w", "Worker: w\x1b[31m"))),
        "digits of another script": (ref, _raw(CLAIM, good.replace("Epoch: 1", "Epoch: 1\u0661"))),
        "a megabyte": (ref, _raw(CLAIM, good + "x" * 1_000_000)),
    }
    for what, (name, data) in bad.items():
        with pytest.raises(Strange):
            pytest.fail(f"{what}: {text.parse(name, data, TREE)}")
