"""A real sshd on 127.0.0.1, with keys made for it, for tests and benchmarks that push over ssh.

`require` skips a test where there is no sshd, and fails it under GITRELAY_REQUIRE_SSHD=1.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

_QUIET: Final[Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True)
class Server:
    """`command` is what GIT_SSH_COMMAND must be to reach it; `log` is what it says."""

    command: str
    log: Path

    def url(self, repository: Path) -> str:
        return f"ssh://127.0.0.1{repository}"


def require() -> str:
    """The program sshd, which must be started by its full path."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        message = "sshd not found: apt-get install openssh-server"
        if os.environ.get("GITRELAY_REQUIRE_SSHD") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """An sshd that lets in who runs this, with the key made in `folder`; it ends with the block.

    All commands share one connection, whose keys are exchanged once: that is most of what a push over ssh takes here.
    """
    program = require()
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=30)
    port = _free_port()
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin prohibit-password\nPidFile none\nMaxSessions 100\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation needs it
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "config")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for(port, server, folder / "log")
        user = pwd.getpwuid(os.getuid()).pw_name
        options = f"-p {port} -l {user} -i {folder}/user -o IdentitiesOnly=yes -o BatchMode=yes"
        command = f"ssh -F none {options} -o UserKnownHostsFile={folder}/known"
        with tempfile.TemporaryDirectory() as short:  # the name of a socket has at most 104 bytes
            shared = subprocess.Popen([*command.split(), "-M", "-N", "-S", f"{short}/s", "127.0.0.1"], **_QUIET)
            try:
                yield Server(f"{command} -S {short}/s", folder / "log")
            finally:
                shared.terminate()
                shared.wait(20)
    finally:
        server.terminate()
        server.wait(20)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path, limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"sshd does not answer: {log.read_text()}")
