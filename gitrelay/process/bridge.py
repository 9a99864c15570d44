"""The stdio of an agent that is kept elsewhere: `python -I -S bridge.py SOCKET KEY`. Standard library only.

It passes on what a supervisor says to an agent and what the agent prints, so that a turn with an agent that was there
before is watched, limited and ended as every other. SIGTERM ends the agent too, and this process when that is done.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import threading
from types import FrameType

LOST = 75
CHUNK = 64 * 1024


def connect(path: str) -> socket.socket:
    fd = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
    finally:
        os.close(fd)
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.getuid():
        raise PermissionError("the socket is somebody else's")
    return connection


def whole(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def put(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def say(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, CHUNK):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def main(path: str, key: str) -> int:
    def end(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            other = connect(path)
            other.settimeout(4.5)
            other.sendall(b'{"do": "end"}\n')
            other.recv(100)
        os._exit(143)

    signal.signal(signal.SIGTERM, end)
    try:
        connection = connect(path)
        connection.sendall(json.dumps({"do": "turn", "key": key}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            line += whole(connection, 1)
        put(1, json.dumps({"jsonrpc": "2.0", "method": "gitrelay/agent", "params": json.loads(line)}).encode() + b"\n")
        threading.Thread(target=say, args=(connection,), daemon=True).start()
        while True:
            kind, size = struct.unpack(">cI", whole(connection, 5))
            data = whole(connection, size)
            if kind == b"c":
                code = struct.unpack(">i", data)[0]
                return int(code if code >= 0 else 128 - code)
            put(1 if kind == b"o" else 2, data)
    except (OSError, EOFError, ValueError):
        put(2, b"the conversation could not be resumed: the agent that was kept for it is gone\n")
        return LOST


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
