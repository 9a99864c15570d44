"""The service and the container of docs/remote.md, as far as they can be seen without starting one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.places import ROOT
from support.repo import Repo, with_one_commit
from support.waiting import patient

FILE = (ROOT / "docs/container/Containerfile").read_text()
PAGE = (ROOT / "docs/remote.md").read_text()


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction; lines that are continued are one."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", FILE)).splitlines()
    return [(word, rest) for line in lines if line.strip() for word, _, rest in [line.partition(" ")]]


def test_the_container_has_no_secret_and_no_root() -> None:
    found = instructions()
    words = [word for word, _ in found]
    assert set(words) <= {"FROM", "RUN", "ARG", "COPY", "USER", "WORKDIR", "STOPSIGNAL", "ENTRYPOINT"}, words
    assert words[0] == "FROM" and words.count("ENTRYPOINT") == 1
    assert [rest for word, rest in found if word == "USER"] == ["relay"]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word in ("RUN", "COPY"))
    assert [rest.partition("=")[0] for word, rest in found if word == "ARG"] == ["PEERS", "UID"]
    (copied,) = [rest for word, rest in found if word == "COPY"]
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"].replace("-", "_")
    assert copied == f"{name}-*.whl /tmp/", "what is copied is the wheel, and nothing of the folder besides"


def test_the_steps_around_it_make_a_worker_that_is_ready(tmp_path: Path, env: dict[str, str]) -> None:
    """The clone and the settings of docs/remote.md, and the entry point in it, with shell in place of codex."""
    section = PAGE[PAGE.index("## In a container") :]
    lines = re.findall(r"(?m)^\$ (git .*)$", section)
    assert len(lines) == 5 and "relay-worker --check\n" in section
    hub = with_one_commit(tmp_path, env)
    hub.sh("git clone -q --bare . ../hub.git")
    signers = tmp_path / "signers"
    signers.write_text('uma namespaces="git" ssh-ed25519 AAAA\n')
    signers.chmod(0o600)
    script = "\n".join(lines).replace("https://git.example.com/group/project.git", "../hub.git")
    hub.sh(script.replace("relay.workerPeers codex", "relay.workerPeers shell").replace(" /signers", f" {signers}"))
    (entry,) = [json.loads(rest) for word, rest in instructions() if word == "ENTRYPOINT"]
    assert entry[0] == "git-relay"
    done = Repo(hub.path / "work", env).relay(*entry[1:], "--check")
    assert done.code == 0 and "signed by uma" in done.out and "of which 20usd are left" in done.out, done.out + done.err


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path, env: dict[str, str]) -> None:
    (unit,) = re.findall(r"(?ms)^```ini\n(.*?)^```$", PAGE)
    assert "\nExecStart=%h/.local/bin/git-relay worker\n" in unit and "PASS" not in unit and "KEY" not in unit
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    program = Path(env["HOME"]) / ".local/bin/git-relay"
    program.parent.mkdir(parents=True)
    program.symlink_to(shutil.which("true") or "/bin/true")
    path = tmp_path / "relay-worker.service"
    path.write_text(unit)
    own = {"HOME": env["HOME"], "XDG_RUNTIME_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)], env=own, capture_output=True, text=True, timeout=patient(60)
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
