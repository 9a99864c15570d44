"""A clone with the hook `pre-push`, and the bare repository it pushes to."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitrelay.gate.verdict import STATES
from support.places import FAKE_PEER
from support.repo import Done, Repo
from support.waiting import patient


@dataclass(frozen=True)
class Gate:
    """A clone on the branch `main`, the bare repository it pushes to, and the hook with the reviewer `fake`."""

    repo: Repo
    origin: Path

    def reviewer(self, mode: str, name: str = "fake") -> None:
        self.repo.git("config", f"relay.{name}.command", shlex.join([sys.executable, "-P", str(FAKE_PEER), mode]))

    def commit(self, line: str = "print(2)", message: str = "more") -> str:
        with (self.repo.path / "app.py").open("a") as f:
            f.write(line + "\n")
        self.repo.git("commit", "-qam", message)
        return self.repo.git("rev-parse", "HEAD")

    def push(self, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
        done = subprocess.run(
            ["git", "push", *(words or ("-q", "origin", "HEAD"))],
            cwd=cwd or self.repo.path,
            env={**self.repo.env, **(env or {})},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=patient(120),
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def there(self, ref: str = "refs/heads/main") -> str:
        """What the remote has."""
        done = subprocess.run(
            ["git", "-C", str(self.origin), "rev-parse", "--verify", "--quiet", ref],
            env=dict(self.repo.env),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def state(self, *words: str) -> str:
        """What `check` says, after a look at its exit code and envelope."""
        done = self.repo.relay("check", *words, "--json")
        found: str = done.json["data"]["state"]
        assert done.code == done.json["exit_code"] == STATES[found][0], done.out
        assert [e["code"] for e in done.json["errors"]] == ([found.replace(" ", "-")] if done.code else [])
        return found

    def notes(self) -> list[str]:
        folder = self.repo.path / ".git/relay/passed"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []

    @property
    def go(self) -> Path:
        return Path(self.repo.env["FAKE_PEER_SAW"]).with_name("go")

    @property
    def asked(self) -> str:
        return Path(self.repo.env["FAKE_PEER_SAW"]).with_name("asked.md").read_text()


def made(repo: Repo, folder: Path, url: str | None = None, env: Mapping[str, str] | None = None) -> Gate:
    """`folder` holds the bare repository; `url` is where git finds it."""
    origin = folder / "origin.git"
    found = Gate(Repo(repo.path, {**repo.env, **(env or {})}), origin)
    found.repo.sh(
        f"git init -q --bare {shlex.quote(str(origin))}; git remote add origin {shlex.quote(url or str(origin))}\n"
        "git push -q origin main; git fetch -q; git remote set-head origin main"
    )
    found.reviewer("reviews-by-the-files")
    done = found.repo.relay("hooks", "install", "pre-push", "--to", "fake")
    assert done.code == 0, done.err
    return found
