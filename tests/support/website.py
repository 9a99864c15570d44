"""`git relay web` as a process, asked over a socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from support.repo import Repo


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Site:
    process: subprocess.Popen[bytes]
    port: int
    token: str

    def get(self, page: str = "", *, method: str = "GET", host: str | None = None, path: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            headers = {"Host": host or f"127.0.0.1:{self.port}"}
            connection.request(method, f"/{self.token}/{page}" if path is None else path, headers=headers)
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read().decode())

    @property
    def version(self) -> str:
        version = json.loads(self.get("state.json").body)["version"]
        assert isinstance(version, str)
        return version


@contextlib.contextmanager
def served(repo: Repo, *words: str) -> Iterator[Site]:
    process = repo.start("web", "--json", *words)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        data = json.loads(line)["data"]
        yield Site(process, data["port"], data["url"].split("/")[3])
    finally:
        process.kill()
        process.communicate()


def ask(repo: Repo, session: str, command: str) -> None:
    done = repo.relay("req", "--from", "uma", "--to", "shell", "--session", session, command)
    assert done.code in (0, 1), done.err
