"""What a request says of how it was asked, so that it can be asked again."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys

from gitrelay import __version__
from support.repo import Repo


def trailer(repo: Repo, rev: str, name: str) -> str:
    return repo.git("log", "-1", f"--format=%(trailers:key={name},valueonly)", rev, "--").strip()


def test_a_request_says_what_was_asked_for_and_the_answer_what_the_program_was_given(repo: Repo) -> None:
    seen = repo.path.parent / "seen"
    words = f"import sys, pathlib; pathlib.Path({str(seen)!r}).write_bytes(sys.stdin.buffer.read())"
    repo.git("config", "relay.prog.command", shlex.join([sys.executable, "-P", "-c", f"{words}; print('hm')"]))
    repo.git("config", "relay.prog.plain", "true")
    asked = ("--model", "m-1", "--effort", "high", "--timeout", "2m", "--idle-timeout", "none", "--check", "true")
    done = repo.relay("req", "--to", "prog", "--session", "s", *asked, "Say hm.")
    assert done.code == 0, done.err
    request, answer = "relay/s~2", "relay/s~1"
    limits = json.loads(trailer(repo, request, "Relay-Asked-Limits"))
    assert limits == {"timeout": 120.0, "idle-timeout": None, "first-output": None, "check": 900.0}
    assert json.loads(trailer(repo, request, "Relay-Asked-Checks")) == ["true"]
    assert trailer(repo, request, "Relay-Asked-Model") == "m-1"
    assert trailer(repo, request, "Relay-Asked-Effort") == "high"
    for rev in (request, answer):
        assert trailer(repo, rev, "Relay-Tool") == f"gitrelay {__version__}"
    assert trailer(repo, answer, "Relay-Prompt") == f"sha256:{hashlib.sha256(seen.read_bytes()).hexdigest()}"
    assert repo.relay("fsck").code == 0
    # the embedded peer's task is its command line
    assert repo.relay("req", "--to", "shell", "--session", "t", "true").code == 0
    assert trailer(repo, "relay/t", "Relay-Prompt") == f"sha256:{hashlib.sha256(b'true').hexdigest()}"
    # nobody was started: no limits held, and nothing was given
    assert repo.relay("req", "--to", "prog", "--session", "n", "--no-invoke", "x").code == 0
    assert trailer(repo, "relay/n", "Relay-Asked-Limits") == ""
