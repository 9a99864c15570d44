"""What users have: `relay.isolate` is not set, so that a call with read access works in a workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.repo import Repo

READS = """
cat > /dev/null
pwd; cat app.py; ls .relay/s 2> /dev/null || true
"""


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    """Without the setting that other tests have."""
    config = Path(env["GIT_CONFIG_GLOBAL"])
    config.write_text(config.read_text().replace("isolate = never", ""))
    return env


@pytest.fixture
def reader(repo: Repo) -> Repo:
    program = repo.path.parent / "reader.sh"
    program.write_text(READS)
    repo.git("config", "relay.q.command", f"sh {program} {{access}}")
    repo.git("config", "relay.q.plain", "true")
    return repo


def trailers(repo: Repo, session: str) -> list[str]:
    words = "--format=%(trailers:key=Relay-Workspace,key=Relay-Sandbox,valueonly,separator=%x20)"
    return repo.git("log", "--reverse", words, f"relay/{session}").split()


def test_a_reader_has_the_files_of_each_turn_as_they_were_when_it_was_asked(reader: Repo) -> None:
    asked = ("req", "--from", "uma", "--to", "q", "--access", "read", "--session", "s")
    (reader.path / "app.py").write_text("edited\n")
    first = reader.relay(*asked, "look")
    assert first.code == 0 and f"{reader.path}/.relay/.work/s\nedited\n" in first.out, first.err
    assert not (reader.path / ".relay/.work/s").exists()
    (reader.path / "app.py").write_text("edited again\n")
    second = reader.relay(*asked, "look again")
    assert second.code == 0 and "edited again\n" in second.out and "01.res.md" in second.out, second.err
    assert trailers(reader, "s") == ["isolated", "isolated", "held", "isolated", "isolated", "held"]
    shared = reader.relay(*asked, "--shared", "and here")
    assert shared.code == 0 and f"{reader.path}\nedited again\n" in shared.out
    assert trailers(reader, "s")[-3:] == ["shared", "shared", "held"]
    assert reader.relay("close", "s").code == 0 and reader.relay("fsck").code == 0
    assert (reader.path / "app.py").read_text() == "edited again\n"


def test_several_writers_never_share_the_tree(repo: Repo) -> None:
    for name in ("ann", "bob"):
        repo.git("config", f"relay.{name}.command", f"sh -c 'echo {name} >> app.py; echo done'")
        repo.git("config", f"relay.{name}.plain", "true")
    repo.git("config", "relay.isolate", "never")
    repo.git("config", "relay.isolateMax", "0")
    both = ("req", "--from", "uma", "--to", "ann", "--to", "bob", "--session", "s", "go")
    done = repo.relay(*both)
    assert done.code == 0 and (repo.path / "app.py").read_text() == "print(1)\n", done.err
    assert trailers(repo, "s-ann") == trailers(repo, "s-bob") == ["isolated", "isolated"]
    assert "+ann" in repo.relay("diff", "s-ann/01").out and "+ann" not in repo.relay("diff", "s-bob/01").out
    one = ("req", "--from", "uma", "--to", "ann", "--attempts", "2", "--name", "n", "go")
    for words in (both, one):
        refused = repo.relay(*words[:-1], "--shared", "go")
        assert refused.code == 2 and "cannot share your tree" in refused.err and "leave --shared out" in refused.err
    repo.git("config", "--unset", "relay.isolateMax")
    repo.relay(*both[:-1], "--shared", "--access", "read", "look")
    assert trailers(repo, "s-ann")[2:4] == ["shared", "shared"], "readers may"
