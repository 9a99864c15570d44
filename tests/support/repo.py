"""A repository in a sealed environment: real git, nothing of the machine's own configuration or keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitrelay.audit.findings import RULES
from gitrelay.errors import Code, Reason
from gitrelay.gate import verdict
from support import zygote
from support.waiting import patient

GIT_RELAY = (sys.executable, "-P", "-m", "gitrelay")
BIN = Path(sys.executable).parent


# every word that `errors[].code` may be (docs/json.md)
_DOCUMENTED = frozenset({*Code, *Reason, *RULES, *(state.replace(" ", "-") for state in verdict.STATES)})


@dataclass(frozen=True)
class Done:
    """A finished command. `out` and `err` are text; bytes are in `raw`."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.raw)
        assert isinstance(value, dict)
        strange = {error["code"] for error in value.get("errors", ())} - _DOCUMENTED
        assert not strange, f"in no document: {strange}"
        return value


@dataclass(frozen=True)
class Repo:
    """A repository in a sealed environment, and the commands to use it with."""

    path: Path
    env: Mapping[str, str]

    def sh(self, script: str, *, check: bool = True, timeout: float = 60) -> str:
        """Run shell lines at the repository's top; its stdout."""
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=self.path,
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=patient(timeout),
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=dict(self.env), capture_output=True, text=True, timeout=patient(60)
        )
        assert done.returncode == 0, f"git {args}: {done.stderr}"
        return done.stdout.removesuffix("\n")

    def relay(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 90,
    ) -> Done:
        """Run git-relay to its end as a process of its own, which may be a fork (`support.zygote`)."""
        environment = {**self.env, **(env or {})}
        if zygote.can_run(environment):
            done = zygote.run(args, environment, cwd or self.path, stdin or b"", patient(timeout))
        else:
            done = subprocess.run(
                [*GIT_RELAY, *args],
                cwd=cwd or self.path,
                env=environment,
                input=stdin or b"",
                capture_output=True,
                timeout=patient(timeout),
            )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start git-relay and return at once; the test waits for it or ends it."""
        return subprocess.Popen(
            [*GIT_RELAY, *args],
            cwd=self.path,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def subjects(self, session: str) -> list[str]:
        """The subjects of a session's commits, oldest first."""
        return self.git("log", "--reverse", "--format=%s", f"refs/heads/relay/{session}").splitlines()


def with_one_commit(folder: Path, env: Mapping[str, str] | None = None) -> Repo:
    """A new repository in `folder`/repo with one commit; its processes have `env`, else a sealed one of its own."""
    made = Repo(folder / "repo", sealed_environment(folder / "home") if env is None else env)
    made.path.mkdir()
    made.sh("git init -q; echo 'print(1)' > app.py; git add app.py; git commit -qm 'first'")
    return made


def copy_of(template: Repo, path: Path, env: Mapping[str, str], *beside: str) -> Repo:
    """A copy of a repository, and of the folders of these names beside it, to a folder of the same name elsewhere.

    Its worktrees there are made to name each other by their new paths.
    """
    old, new = template.path.parent, path.parent
    assert path.name == template.path.name
    for name in (path.name, *beside):
        shutil.copytree(old / name, new / name, symlinks=True)
    for note in path.glob(".git/worktrees/*/gitdir"):
        worktree = Path(note.read_text().removesuffix("\n"))
        here = new / worktree.relative_to(old)
        note.write_text(f"{here}\n")
        here.write_text(f"gitdir: {note.parent}\n")
    return Repo(path, env)


def sealed_environment(home: Path) -> dict[str, str]:
    """The whole environment of a test's processes: a private HOME, the program's own folder first on PATH.

    Readers share the tree unless a test says otherwise: most tests are about that tree.
    """
    home.mkdir(parents=True, exist_ok=True)
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = Uma User\n\temail = uma@example.invalid\n"
        "[init]\n\tdefaultBranch = main\n[relay]\n\tisolate = never\n"
    )
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(BIN), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
