"""What another call may have done is told apart from what the peer did."""

from __future__ import annotations

import pytest

from support.repo import Repo
from support.waiting import eventually


def peer(repo: Repo, name: str, script: str) -> None:
    program = repo.path.parent / f"{name}.sh"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\necho my answer\n")
    program.chmod(0o755)
    repo.git("config", f"relay.{name}.command", f"{program} {{access}}")
    repo.git("config", f"relay.{name}.plain", "true")


def wait_for(name: str) -> str:
    return f"touch ../{name}.begun; while [ ! -e ../{name}.go ]; do sleep 0.05; done"


def start(repo: Repo, to: str, session: str, access: str) -> None:
    words = ("req", "--from", "uma", "--to", to, "--session", session, "--access", access, "-d", "x")
    assert repo.relay(*words).code == 0
    assert eventually(lambda: (repo.path.parent / f"{to}.begun").exists())


def let_go(repo: Repo, name: str) -> None:
    (repo.path.parent / f"{name}.go").touch()


def trailer(repo: Repo, key: str, session: str) -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key={key},valueonly,separator=%x20)", f"relay/{session}").strip()


@pytest.mark.parametrize("first", ["writer", "reader"])
def test_a_writer_that_has_ended_is_named_and_the_answer_counts(repo: Repo, first: str) -> None:
    peer(repo, "writer", wait_for("writer") + "; echo x >> app.py")
    peer(repo, "reader", wait_for("reader"))
    for name in ("writer", "reader") if first == "writer" else ("reader", "writer"):
        start(repo, name, name, "read" if name == "reader" else "write")
    let_go(repo, "writer")
    assert repo.relay("wait", "writer/01").code == 0
    let_go(repo, "reader")
    done = repo.relay("wait", "reader/01")
    assert (done.code, trailer(repo, "Relay-Sandbox", "reader")) == (0, "unknown"), done.out
    body = repo.git("log", "-1", "--format=%b", "relay/reader")
    assert "changed app.py" in body and "writer/01" in body
    assert trailer(repo, "Relay-Shared", "reader") == "writer/01"


def test_a_writer_that_ended_before_is_no_excuse(repo: Repo) -> None:
    assert repo.relay("req", "--to", "shell", "--session", "writer", "true").code == 0
    peer(repo, "reader", "echo x >> app.py")
    done = repo.relay("req", "--to", "reader", "--access", "read", "--session", "reader", "x")
    assert (done.code, trailer(repo, "Relay-Sandbox", "reader")) == (4, "violated")
    assert "my answer" in done.out and trailer(repo, "Relay-Shared", "reader") == ""


def test_each_of_two_writers_says_that_lines_may_be_the_others(repo: Repo) -> None:
    for name in ("one", "two"):
        peer(repo, name, f"{wait_for(name)}; echo {name} > {name}.txt")
        start(repo, name, name, "write")
    for name in ("one", "two"):
        let_go(repo, name)
        assert repo.relay("wait", f"{name}/01").code == 0
    assert trailer(repo, "Relay-Shared", "one") == "two/01"
    assert trailer(repo, "Relay-Shared", "two") == "one/01"
    shown = repo.relay("diff", "two/01")
    assert "one/01 could write in the same tree" in shown.err
    assert repo.relay("diff", "--json", "two/01").json["data"]["shared"] == ["one/01"]
    assert repo.relay("fsck").code == 0


def test_a_writer_in_another_working_tree_is_no_excuse_for_files_here(repo: Repo) -> None:
    repo.git("worktree", "add", "-q", "--detach", "../other")
    peer(repo, "writer", wait_for("writer").replace("../", f"{repo.path.parent}/"))
    words = ("req", "--from", "uma", "--to", "writer", "--session", "writer", "-d", "x")
    assert repo.relay(*words, cwd=repo.path.parent / "other").code == 0
    assert eventually(lambda: (repo.path.parent / "writer.begun").exists())
    for name, script, seen in (("files", "echo x >> app.py", "violated"), ("refs", "git branch new", "unknown")):
        peer(repo, name, script)
        repo.relay("req", "--from", "uma", "--to", name, "--access", "read", "--session", name, "x")
        assert trailer(repo, "Relay-Sandbox", name) == seen
    let_go(repo, "writer")
    assert repo.relay("wait", "writer/01").code == 0
