"""A repository with a long history of sessions, made in seconds by `git fast-import`: the same bytes for the same seed.

    python benchmarks/make_history.py FOLDER [--sessions 500] [--exchanges 20] [--seed 1]

Each exchange is what a call leaves: a request, a response, and the files that the peer changed, kept by the
session's code ref. Messages have lengths as agents write them: tasks of some 100 to 2,000 bytes, answers of
some 200 to 6,000. Every tenth answer is one that gitrelay had to write.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitrelay.message import Request, Response

USER = "Uma User <uma@example.invalid>"
BEGIN = 1_790_000_000  # seconds since the epoch
WORDS = """
the tests of `parser.py` fail where a header is empty escape user names in both queries add a case for CRLF
read src/auth.py first then run pytest -q to verify nothing else changed the lock is taken before the file is
opened so a crash leaves it behind I renamed `load` to `read` and kept the old name as an alias for one release
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--exchanges", type=int, default=20, help="in each session")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    make(given.folder, sessions=given.sessions, exchanges=given.exchanges, seed=given.seed)


def make(folder: Path, *, sessions: int, exchanges: int, seed: int = 1) -> None:
    """`git init` in `folder` and fill it."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    importer = subprocess.Popen(
        ["git", "-C", str(folder), "fast-import", "--quiet", "--date-format=raw"], stdin=subprocess.PIPE
    )
    assert importer.stdin is not None
    with importer.stdin as stream:
        for number in range(sessions):
            for piece in _session(number, exchanges, random.Random(f"{seed} {number}")):
                stream.write(piece)
    if importer.wait():
        raise SystemExit("git fast-import failed")


def _session(number: int, exchanges: int, chance: random.Random) -> Iterator[bytes]:
    name = f"{'-'.join(chance.sample(['auth', 'cache', 'docs', 'lock', 'parser', 'query'], 2))}-{number:04d}"
    branch, code = f"refs/heads/relay/{name}", f"refs/relay/code/{name}"
    caller, peer = chance.sample(["claude", "codex", "gemini"], 2)
    time = BEGIN + number * 3600
    yield _commit(branch, caller, time, f"open {name}", {"Relay-Version": "4"}, [f"Opened by {caller}."])
    for turn in range(1, exchanges + 1):
        request = Request(f"{turn:02d}", caller, peer, _text(chance, 100, 2000), name)
        answered = chance.random() >= 0.1
        response = Response(
            re=request.id,
            from_=peer,
            to=caller,
            status="done" if answered else "error",
            verify=chance.choice(["pass", "pass", "fail", "skip"]) if answered else "skip",
            body=_text(chance, 200, 6000),
            reason=None if answered else chance.choice(["timeout", "quota", "peer-failed"]),
        )
        first = request.task.splitlines()[0][:60].rstrip()
        before, after = f"before {turn} {name}\n".encode(), f"after {turn} {name}\n".encode()
        subject = f"req {request.id} {caller} -> {peer}: {first}"
        yield _code(code, time, subject, before)
        trailers = {"Relay-Id": request.id, "Relay-From": caller, "Relay-To": peer, "Relay-Head": "unborn"}
        own = {"Relay-Access": "write", "Relay-Tree": _tree(before)}
        yield _commit(branch, caller, time, subject, trailers | own) + _file(request.file, request.render())
        time += chance.randint(20, 600)
        subject = f"res {request.id} {peer} -> {caller}: {response.status}, verify {response.verify}"
        yield _code(code, time, subject, after)
        trailers = {
            "Relay-Id": request.id,
            "Relay-From": peer,
            "Relay-To": caller,
            "Relay-Status": response.status,
            "Relay-Verify": response.verify,
            **({"Relay-Reason": response.reason} if response.reason else {}),
            "Relay-Head": "unborn",
            "Relay-Recorded": "peer" if answered else "gitrelay",
            "Relay-Peer": f"{peer} 2.1.0",
            "Relay-Model": f"{peer}-large-1",
            "Relay-Peer-Session": hashlib.md5(f"{name} {turn}".encode()).hexdigest(),
            "Relay-Duration": f"{chance.random() * 600:.1f}",
            "Relay-Usage": f"input={chance.randint(900, 90000)} output={chance.randint(90, 9000)}",
            "Relay-Tree": _tree(after),
        }
        yield _commit(branch, peer, time, subject, trailers) + _file(response.file, response.render())
        time += chance.randint(5, 900)


def _text(chance: random.Random, least: int, most: int) -> str:
    """Lines of words, few of them long: the length is spread evenly over its order of magnitude."""
    length = int(least * (most / least) ** chance.random())
    words = WORDS.split()
    lines, size = [], 0
    while size < length:
        line = " ".join(chance.choices(words, k=chance.randint(4, 16)))
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)


def _commit(
    ref: str, author: str, time: int, subject: str, trailers: Mapping[str, str], notes: list[str] | None = None
) -> bytes:
    paragraphs = [subject, *(notes or []), "\n".join(f"{key}: {value}" for key, value in trailers.items())]
    message = ("\n\n".join(paragraphs) + "\n").encode()
    return _head(ref, f"{author} <{author}@gitrelay.invalid>", time) + b"data %d\n%s\n" % (len(message), message)


def _code(ref: str, time: int, subject: str, content: bytes) -> bytes:
    message = subject.encode() + b"\n"
    head = _head(ref, "gitrelay <gitrelay@gitrelay.invalid>", time)
    return head + b"data %d\n%s\n" % (len(message), message) + _file("state.txt", content)


def _head(ref: str, author: str, time: int) -> bytes:
    return f"commit {ref}\nauthor {author} {time} +0000\ncommitter {USER} {time} +0000\n".encode()


def _file(name: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)


def _tree(content: bytes) -> str:
    """The id of the tree that holds `content` as state.txt."""
    blob = hashlib.sha1(b"blob %d\0%s" % (len(content), content)).digest()
    entry = b"100644 state.txt\0" + blob
    return hashlib.sha1(b"tree %d\0%s" % (len(entry), entry)).hexdigest()


if __name__ == "__main__":
    main()
