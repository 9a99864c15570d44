"""The main job, end to end: a request and a response, each a commit, the answer read back from git."""

from __future__ import annotations

import pytest

from support.repo import Repo


@pytest.mark.fast
@pytest.mark.usefixtures("each_git")
def test_a_session_of_two_turns(repo: Repo) -> None:
    first = repo.relay("req", "--from", "uma", "--to", "shell", "--session", "smoke", "echo one")
    assert first.code == 0, first.err
    second = repo.relay("req", "--from", "uma", "--to", "shell", "--session", "smoke", "echo two; exit 4")
    assert second.code == 1, second.err
    assert repo.subjects("smoke") == [
        "open smoke",
        "req 01 uma -> shell: echo one",
        "res 01 shell -> uma: done, verify pass",
        "req 02 uma -> shell: echo two; exit 4",
        "res 02 shell -> uma: done, verify fail",
    ]
    assert "two\n" in second.out and "exit 4" in second.out
    assert second.out == repo.git("show", "relay/smoke:02.res.md") + "\n"
    assert repo.git("log", "-1", "--format=%(trailers:key=Relay-Verify,valueonly)", "relay/smoke").strip() == "fail"
    assert repo.git("status", "--porcelain") == ""
    assert sorted(p.name for p in (repo.path / ".relay/smoke").iterdir()) == [
        ".git",
        "01.req.md",
        "01.res.md",
        "02.req.md",
        "02.res.md",
    ]
    assert repo.git("-C", ".relay/smoke", "status", "--porcelain") == ""


@pytest.mark.usefixtures("each_git")
def test_a_one_shot_leaves_a_branch_and_no_worktree(repo: Repo) -> None:
    done = repo.relay("req", "--to", "shell", "--name", "look", "--json", "cat app.py")
    assert done.code == 0, done.err
    address = done.json["data"]["address"]
    assert address.endswith("-look")
    assert repo.subjects(address)[0] == f"open {address}"
    assert not (repo.path / ".relay" / address).exists()
    again = repo.relay("req", "--to", "shell", "--session", address, "true")
    assert again.code == 0, again.err
    assert repo.subjects(address)[-1] == "res 02 shell -> uma-user: done, verify pass"


def test_git_relay_is_a_git_command(repo: Repo) -> None:
    out = repo.sh("git relay req --to shell --session s 'echo through git' 2>/dev/null")
    assert "through git" in out
