"""Nothing waits without a limit: programs that git runs and that never end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gitrelay.git.faults import Hangs
from gitrelay.git.run import execute
from support.repo import Repo
from support.waiting import processes_with


def hanging(repo: Repo, name: str) -> Path:
    """A program that reads nothing, says nothing and never ends; what it starts ignores SIGTERM."""
    path = repo.path.parent / name
    path.write_text("#!/bin/sh\nsh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &\nexec sleep 1000\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("format_", ["openpgp", "x509", "ssh"])
def test_a_signing_program_that_never_ends(repo: Repo, mark: dict[str, str], format_: str) -> None:
    """Nothing is recorded, nothing is left behind, and the next call works without it."""
    program = hanging(repo, "signer")
    repo.git("config", "commit.gpgsign", "true")
    repo.git("config", "gpg.format", format_)
    repo.git("config", "gpg.program" if format_ == "openpgp" else f"gpg.{format_}.program", str(program))
    repo.git("config", "user.signingkey", str(program))
    repo.git("config", "relay.signTimeout", "2s")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true", env=mark, timeout=120)
    assert done.code == 4 and "cannot be signed" in done.err, (done.code, done.err)
    assert repo.git("for-each-ref", "refs/heads/relay") == ""
    repo.git("config", "relay.sign", "false")
    assert repo.relay("req", "--to", "shell", "--session", "s", "true").code == 0


def test_a_filter_that_never_ends(repo: Repo, mark: dict[str, str]) -> None:
    """The call goes on, without the trees of its files."""
    repo.git("config", "filter.slow.clean", str(hanging(repo, "filter")))
    repo.git("config", "relay.filterTimeout", "soon")
    done = repo.relay("req", "--to", "shell", "--session", "s", "true")
    assert done.code == 2 and "relay.filterTimeout 'soon' is not a duration" in done.err, done.err
    repo.git("config", "relay.filterTimeout", "2s")
    repo.sh("echo '*.dat filter=slow' >.gitattributes; echo data >a.dat")
    done = repo.relay("req", "--to", "shell", "--session", "s", "echo done", env=mark, timeout=170)
    assert done.code == 0 and "\ndone\n" in done.out, done.err


def test_what_hangs_is_ended_with_its_family(repo: Repo, mark: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**repo.env, **mark}.items():
        monkeypatch.setenv(name, value)
    begin = time.monotonic()
    with pytest.raises(Hangs, match=r"git -c did not end within 0\.5 s"):
        execute(repo.path, ["-c", f"alias.wait=!{hanging(repo, 'alias')}", "wait"], limit=0.5)
    assert time.monotonic() - begin < 60
    ((name, value),) = mark.items()
    assert [p.pid for p in processes_with(name, value) if p.pid != os.getpid()] == []
