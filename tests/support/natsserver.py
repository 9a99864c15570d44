"""A real nats-server with JetStream on 127.0.0.1, for tests and benchmarks of the queue.

`require` skips a test if the server or nats-py is missing, and fails it under GITRELAY_REQUIRE_NATS=1.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.waiting import eventually


def require() -> str:
    """The program nats-server."""
    found = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    message = ""
    if found is None:
        message = "nats-server not found: apt-get install nats-server"
    elif importlib.util.find_spec("nats") is None:
        message = "nats-py not found: pip install 'gitrelay-cli[nats]'"
    if message:
        if os.environ.get("GITRELAY_REQUIRE_NATS") == "1":
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)
    assert found is not None
    return found


class Server:
    """One server, whose data lie in `folder`; `more` are lines of its configuration."""

    def __init__(self, program: str, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        listen = f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder / "data"}" }}\n'
        (folder / "nats.conf").write_text(listen + more)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            words = [self._program, "-c", str(self.folder / "nats.conf")]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert eventually(self._answers, 60), (self.folder / "log").read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Take all that it has kept; it must be stopped."""
        assert self._process is None
        shutil.rmtree(self.folder / "data")

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as made:
            return made.recv(4) == b"INFO"
        return False


@contextlib.contextmanager
def serving(folder: Path, more: str = "") -> Iterator[Server]:
    """A server that ends with the block."""
    server = Server(require(), folder, more)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
